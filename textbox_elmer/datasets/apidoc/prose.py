"""The training services' prose, to pre-train on: none of it gives away what valid and test ask for."""

from collections.abc import Iterable, Sequence

from tqdm import tqdm

from textbox_elmer.datasets.apidoc.pairs import Pair
from textbox_elmer.datasets.apidoc.services import Service
from textbox_elmer.datasets.apidoc.splits import key, side
from textbox_elmer.datasets.apidoc.text import html_blocks, sentences

FEWEST_WORDS = 6
SHARED_WORDS = 8
VALID_TEXTS = 500


def training_prose(services: Sequence[Service], held_out: Iterable[Pair]) -> dict[str, list[str]]:
    """Return the texts of the training services' documentation, of all its parts, for train and valid.

    Every text is one documentation's, on one line, and no two have the same words. Left out is what is shorter than
    six words, and what shares eight words in a row, or a sentence, with a held-out example.
    """
    secrets = _Secrets(held_out)
    texts: dict[str, str] = {}
    chosen = [service for service in services if side(service.family) == "train"]
    for service in tqdm(chosen, desc="Reading their prose", unit=" services", disable=None):
        for html in service.html:
            blocks = [text for text, _ in html_blocks(html)]
            text = " ".join(blocks)
            words = key(text)
            if words.count(" ") + 1 >= FEWEST_WORDS and words not in texts and not secrets.shared_by(blocks):
                texts[words] = text
    # Sorted by words, every n-th for valid: the same whatever order the texts came in.
    lines = [texts[words] for words in sorted(texts)]
    valid = set(lines[:: max(100, len(lines) // VALID_TEXTS)])
    return {"train": [line for line in lines if line not in valid], "valid": sorted(valid)}


class _Secrets:
    """What held-out examples say, and whether a text says any of it, too."""

    def __init__(self, held_out: Iterable[Pair]) -> None:
        self._sequences: set[str] = set()
        self._sentences: set[str] = set()
        for pair in held_out:
            self._sentences.add(key(pair.target))
            for text in pair:
                self._sequences |= _sequences(key(text))

    def shared_by(self, blocks: Sequence[str]) -> bool:
        if not self._sequences.isdisjoint(_sequences(key(" ".join(blocks)))):
            return True
        return any(key(sentence) in self._sentences for block in blocks for sentence in sentences(block))


def _sequences(words: str) -> set[str]:
    listed = words.split()
    return {" ".join(listed[i : i + SHARED_WORDS]) for i in range(len(listed) - SHARED_WORDS + 1)}
