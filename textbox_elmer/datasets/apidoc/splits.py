"""Which services are for training, which for validation and which for testing."""

import hashlib
import re
from collections.abc import Iterable, Iterator

from textbox_elmer.datasets.apidoc.pairs import Pair, operation_pair
from textbox_elmer.datasets.apidoc.services import Service
from textbox_elmer.datasets.folder.counting import SPLITS

# Shares of the families, which hold 5.5 and 3.9% of the pairs of the pinned version.
_VALID, _TEST = 0.075, 0.02
_WORD = re.compile(r"\w+")


def side(family: str) -> str:
    """Return the split that all services of a family go to, the same on every machine and in every version."""
    share = _hash(family) / 2**256
    if share < _VALID:
        return "valid"
    return "test" if share < _VALID + _TEST else "train"


def split_pairs(services: Iterable[Service]) -> dict[str, list[Pair]]:
    """Return each split's pairs, mixed up but always in the same order.

    No source comes twice. Valid and test hold no source and no target that train holds: those it could know by heart.
    """
    pairs: dict[str, tuple[Pair, str]] = {}
    for split, pair in _all_pairs(services):
        if pair.source not in pairs or (split == "train" and pairs[pair.source][1] != "train"):
            pairs[pair.source] = pair, split
    known = {key(pair.target) for pair, split in pairs.values() if split == "train"}
    splits: dict[str, list[Pair]] = {split: [] for split in SPLITS}
    for pair, split in sorted(pairs.values(), key=lambda entry: _hash("\n".join(entry[0]))):
        if split == "train" or key(pair.target) not in known:
            splits[split].append(pair)
    return splits


def _all_pairs(services: Iterable[Service]) -> Iterator[tuple[str, Pair]]:
    for service in services:
        split = side(service.family)
        for operation in service.operations:
            if pair := operation_pair(operation):
                yield split, pair


def key(text: str) -> str:
    """Return a text's words without case and punctuation: what two texts that say the same have in common."""
    return " ".join(_WORD.findall(text.lower()))


def _hash(text: str) -> int:
    # Not Python's own hash, which changes from process to process.
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
