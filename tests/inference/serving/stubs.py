"""A model without weights: its text for "a b" is "A B", and it tells with whom each was written."""

import threading
from collections.abc import Sequence

from textbox_elmer.inference.serving.model import Asked, Written
from textbox_elmer.inference.writer import Source


class StubModel:
    """Writes a text in capitals, when it is let."""

    name, most = "stub", 3

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.open, self.entered = threading.Event(), threading.Event()
        self.open.set()

    def read(self, texts: Sequence[str]) -> list[Source]:
        """A character is a token."""
        return [Source([ord(sign) for sign in text], 0, None) for text in texts]

    def padded_length(self, source: Source) -> int:
        """Tens."""
        return -(-len(source.ids) // 10) * 10

    def longest(self, max_tokens: int) -> list[Asked]:
        """One text."""
        return [Asked(Source([97], 0, None))]

    def write(self, asked: Sequence[Asked]) -> list[list[Written]]:
        """Write, as soon as `open` is set; "bad" cannot be written."""
        texts = ["".join(map(chr, one.source.ids)) for one in asked]
        self.batches.append(texts)
        self.entered.set()
        assert self.open.wait(60)
        if any("bad" in text for text in texts):
            raise RuntimeError("bad")
        return [[Written(text.upper(), len(text), True)] * one.count for text, one in zip(texts, asked, strict=True)]
