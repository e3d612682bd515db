"""How varied generated texts are: distinct, unique and self-BLEU."""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

from textbox_elmer.metrics.bleu import uniform_weights
from textbox_elmer.metrics.corpus import Corpus, ngram_counts, pooled

TINY, SMALL = 1e-12, 1e-5  # keep TextBox's ratios defined for texts without n-grams
SMOOTHED_COUNT = 0.1  # nltk's smoothing method 1: an n-gram order without matches counts as a tenth of one


def distinct(corpus: Corpus, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the percentage of different n-grams, among all of the corpus (`inter_distinct`) or in each text.

    TextBox leaves the latter out of its results by mistake.
    """
    results: dict[str, float | list[float]] = {}
    for n in range(1, config["distinct_max_ngrams"] + 1):
        counts = [ngram_counts(text.tokens, n) for text in corpus.generated]
        if config["inter_distinct"]:
            together = pooled(counts)
            results[f"distinct-{n}"] = 100 * (len(together) + TINY) / (together.total() + SMALL)
        else:
            results[f"distinct-{n}"] = [100 * (len(c) + TINY) / (c.total() + SMALL) for c in counts]
    return results


def unique(corpus: Corpus, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the percentage of n-grams that occur once in the corpus."""
    results = {}
    for n in range(1, config["unique_max_ngrams"] + 1):
        together = pooled(ngram_counts(text.tokens, n) for text in corpus.generated)
        once = sum(count == 1 for count in together.values())
        results[f"unique-{n}"] = 100 * once / together.total() if together else 0.0
    return results


def self_bleu(corpus: Corpus, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return each text's sentence BLEU (smoothing method 1) against all others as references, in percent.

    The others' largest count of an n-gram is found from the two largest of all texts, so that the time grows with the
    number of texts, not with its square.
    """
    longest = config["self_bleu_max_ngrams"]
    texts = [text.tokens for text in corpus.generated]
    log_precisions = [_self_precisions(texts, n) for n in range(1, longest + 1)]
    lengths = sorted(len(tokens) for tokens in texts)
    results: dict[str, Any] = {}
    for n, weights in enumerate(uniform_weights(longest), start=1):
        scores = results[f"self-bleu-{n}"] = []
        for index, tokens in enumerate(texts):
            mean = math.fsum(w * log_precisions[order][index] for order, w in enumerate(weights) if w)
            scores.append(100 * _brevity_penalty(len(tokens), lengths) * math.exp(mean))
    return results


def _self_precisions(texts: Sequence[Sequence[str]], n: int) -> list[float]:
    counts = [ngram_counts(tokens, n) for tokens in texts]
    largest: dict[tuple, tuple[int, int]] = {}  # n-gram -> its two largest counts in a text
    for count in counts:
        for ngram, number in count.items():
            first, second = largest.get(ngram, (0, 0))
            largest[ngram] = (number, first) if number > first else (first, max(second, number))
    logs = []
    for count in counts:
        common = 0
        for ngram, number in count.items():
            first, second = largest[ngram]
            # If this text has the largest count itself, the others' largest is the second one.
            common += min(number, second if number == first else first)
        total = max(1, count.total())
        if common == 0 and n == 1:  # no word in common with any other text: the score is 0
            logs.append(-math.inf)
        else:
            logs.append(math.log((common or SMOOTHED_COUNT) / total))
    return logs


def _brevity_penalty(length: int, sorted_lengths: Sequence[int]) -> float:
    """Return BLEU's penalty against the closest length of another text, the shorter of two equally close ones."""
    position = bisect_left(sorted_lengths, length)
    others = [sorted_lengths[i] for i in (position - 1, position + 1) if 0 <= i < len(sorted_lengths)]
    closest = min(others, key=lambda other: (abs(other - length), other), default=0)
    if length > closest:
        return 1.0
    return math.exp(1 - closest / length) if length else 0.0
