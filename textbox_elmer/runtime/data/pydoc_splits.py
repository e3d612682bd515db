"""Which side a docstring goes to: train, valid or test, with no function's text on two of them."""

import hashlib
import re
from collections.abc import Iterable

from textbox_elmer.runtime.data.pydoc_text import Pair

SPLITS = ("train", "valid", "test")
# Of the texts that are new: about 1,000 pairs each for valid and for test.
HELD_OUT_SHARE = 0.08
# A text is a copy when more than this share of its word sequences stands in other texts.
COPIED_SHARE = 0.5
SEQUENCE_WORDS = 3

_WORD = re.compile(r"\w+")


def split_pairs(pairs: Iterable[Pair]) -> dict[str, list[Pair]]:
    """Split pairs into train, valid and test; the result depends on the set of pairs only, not on their order.

    Packages hold thousands of near-copies: async twins, overridden methods, one docstring per model with only the
    name changed. So that none of them bridges two sides:

    - of pairs whose bodies have the same words (case, punctuation and spacing ignored), one is kept;
    - valid and test get only new texts: going from the longest text to the shortest, those that share at most half
      of their 3-word sequences with all texts before them. A hash of the summary's words chooses the side, so equal
      summaries stay together;
    - copies go to train, except those that share more than half of their sequences with what valid and test hold,
      or a summary: these are dropped.

    Hence, of two texts on different sides, the shorter shares at most half of its sequences with the longer.
    """
    splits: dict[str, list[Pair]] = {split: [] for split in SPLITS}
    copies = []
    seen: set[str] = set()
    for pair in sorted(_distinct(pairs), key=lambda pair: (-len(_sequences(pair)), pair)):
        sequences = _sequences(pair)
        is_copy = len(sequences & seen) > COPIED_SHARE * len(sequences)
        seen |= sequences
        if is_copy:
            copies.append(pair)
        else:
            splits[_side(pair)].append(pair)

    held_out = splits["valid"] + splits["test"]
    held_out_sequences = set().union(*map(_sequences, held_out))
    held_out_summaries = {_key(pair.summary) for pair in held_out}
    for pair in copies:
        sequences = _sequences(pair)
        overlap = len(sequences & held_out_sequences)
        if overlap <= COPIED_SHARE * len(sequences) and _key(pair.summary) not in held_out_summaries:
            splits["train"].append(pair)
    return {split: sorted(chosen, key=_shuffled) for split, chosen in splits.items()}


def _distinct(pairs: Iterable[Pair]) -> list[Pair]:
    by_body: dict[str, Pair] = {}
    for pair in sorted(set(pairs)):
        by_body.setdefault(_key(pair.body), pair)
    return list(by_body.values())


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _key(text: str) -> str:
    return " ".join(_words(text))


def _sequences(pair: Pair) -> set[str]:
    words = _words(" ".join(pair))
    return {" ".join(words[i : i + SEQUENCE_WORDS]) for i in range(max(1, len(words) - SEQUENCE_WORDS + 1))}


def _side(pair: Pair) -> str:
    # sha256, not hash(): Python's own hash of a text changes from process to process.
    share = int.from_bytes(hashlib.sha256(_key(pair.summary).encode()).digest()[:8], "big") / 2**64
    if share < HELD_OUT_SHARE:
        return "valid"
    return "test" if share < 2 * HELD_OUT_SHARE else "train"


def _shuffled(pair: Pair) -> bytes:
    return hashlib.sha256("\n".join(pair).encode()).digest()
