"""Counting n-grams."""

from collections import Counter
from collections.abc import Iterable, Sequence


def ngram_counts(tokens: Sequence[str], n: int) -> Counter:
    """Return how often each sequence of `n` tokens occurs."""
    return Counter(zip(*(tokens[start:] for start in range(n)), strict=False))


def pooled(counts: Iterable[Counter]) -> Counter:
    """Return the sum of counts, in time that grows with their number (`sum` copies what it has at every step)."""
    total: Counter = Counter()
    for count in counts:
        total.update(count)
    return total
