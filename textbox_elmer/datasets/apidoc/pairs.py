"""From a service's operations to pairs of text: its signature and documentation, and the sentence that sums it up."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from textbox_elmer.datasets.apidoc.services import Operation
from textbox_elmer.datasets.apidoc.text import html_blocks, name_words, sentences

TARGET_CHARACTERS = (15, 120)
TARGET_WORDS = 20
# So many words of field names leave prose its place in a source of 128 tokens.
INPUT_WORDS, OUTPUT_WORDS = 32, 16
# What begins so tells a story, warns, or names what an answer holds; what says one of the others speaks of the
# operation's fate, or of its documentation.
_NO_DESCRIPTION = re.compile(
    r"(We|You|If|While|Before|After|Some|Note|Important|Warning|Amazon|AWS)\b|This is documentation|\W*deprecated"
    r"|The (?!.*\b(action|API|operation)\b)|Use \w+ instead"
    r"|.*\b(no longer|subject to chang|(is|are|been|being) deprecated)",
    re.IGNORECASE,
)


class Pair(NamedTuple):
    """One example: `source` and `target`, each on one line."""

    source: str
    target: str


def operation_pair(operation: Operation) -> Pair | None:
    """Return an operation's pair, or None where its documentation begins with no description of a usual length.

    The source is "create thing ( thing name , tags ) thing arn : …": the operation's name, its input's fields, its
    output's fields, each split into words, then its documentation without the target, which is the first sentence
    that is not in a note.
    """
    blocks = html_blocks(operation.html)
    first = next((number for number, (_, aside) in enumerate(blocks) if not aside), None)
    if first is None:
        return None
    target, *rest = sentences(blocks[first][0])
    if not _is_description(target):
        return None
    prose = [text for text, _ in blocks[:first]] + rest + [text for text, _ in blocks[first + 1 :]]
    inputs, outputs = _field_words(operation.inputs, INPUT_WORDS), _field_words(operation.outputs, OUTPUT_WORDS)
    signature = f"{name_words(operation.name)} ( {inputs} ) {outputs} :"
    return Pair(" ".join(f"{signature} {' '.join(prose)}".split()), target)


def _is_description(sentence: str) -> bool:
    return (
        TARGET_CHARACTERS[0] <= len(sentence) <= TARGET_CHARACTERS[1]
        and len(sentence.split()) <= TARGET_WORDS
        and sentence[0].isupper()
        and sentence.endswith(".")
        and not _NO_DESCRIPTION.match(sentence)
    )


def _field_words(names: Sequence[str], most: int) -> str:
    """Return names split into words, as many whole names as hold `most` words together."""
    kept, words = [], 0
    for name in map(name_words, names):
        words += name.count(" ") + 1
        if words > most:
            break
        kept.append(name)
    return " , ".join(kept)
