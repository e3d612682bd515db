"""Which services are for training, which for validation and which for testing."""

import hashlib
import re
from collections.abc import Iterable

from textbox_elmer.runtime.catalog.api_pairs import Pair, operation_pair
from textbox_elmer.runtime.catalog.api_services import Service
from textbox_elmer.runtime.catalog.counting import SPLITS

# Shares of the families: about 1,000 and 700 pairs of the pinned version, 5.6 and 4.0% of them all.
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

    No pair comes twice. Valid and test hold no target that train holds: it could be known by heart.
    """
    pairs: dict[Pair, str] = {}
    for service in services:
        split = side(service.family)
        for pair in filter(None, map(operation_pair, service.operations)):
            if split == "train" or pair not in pairs:
                pairs[pair] = split
    known = {key(pair.target) for pair, split in pairs.items() if split == "train"}
    splits: dict[str, list[Pair]] = {split: [] for split in SPLITS}
    for pair in sorted(pairs, key=lambda pair: _hash("\n".join(pair))):
        if pairs[pair] == "train" or key(pair.target) not in known:
            splits[pairs[pair]].append(pair)
    return splits


def key(text: str) -> str:
    """Return a text's words without case and punctuation: what two texts that say the same have in common."""
    return " ".join(_WORD.findall(text.lower()))


def _hash(text: str) -> int:
    # Not Python's own hash, which changes from process to process.
    return int.from_bytes(hashlib.sha256(text.encode()).digest())
