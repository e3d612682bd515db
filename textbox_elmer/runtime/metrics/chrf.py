"""chrF, chrF+ and chrF++: F-scores of character n-grams and of none, one or two orders of word n-grams."""

import string
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from textbox_elmer.runtime.metrics.corpus import Corpus

CHRF_TYPES = ("m-popovic", "sacrebleu")
CHARACTER_ORDERS = 6
BETA = 2  # recall counts twice as much as precision


def chrf(corpus: Corpus, config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Score a corpus, in percent; each `+` in the name is an order of word n-grams."""
    word_orders = name.count("+")
    generated = [text.raw for text in corpus.generated]
    references = [[text.raw for text in texts] for texts in corpus.references]
    if config["chrf_type"] == "sacrebleu":
        from sacrebleu import corpus_chrf

        return {name: corpus_chrf(generated, list(zip_longest(*references)), word_order=word_orders).score}
    return {name: 100 * _popovic(generated, references, word_orders)}


def _popovic(generated: Sequence[str], references: Sequence[Sequence[str]], word_orders: int) -> float:
    """Return chrF as Popović's own program defines it: the mean, over the orders, of the corpus's F-scores.

    (Popović 2015, 2017.) Counts are summed over the corpus, each text against the reference that suits it best.
    """
    orders = CHARACTER_ORDERS + word_orders
    totals = [Counter() for _ in range(orders)]
    for text, candidates in zip(generated, references, strict=True):
        hypothesis = _ngrams(text, word_orders)
        compared = [_compare(hypothesis, _ngrams(reference, word_orders)) for reference in candidates]
        for total, counts in zip(totals, max(compared, key=_mean_f), strict=True):
            total.update(counts)
    return _mean_f(totals)


def _ngrams(text: str, word_orders: int) -> list[Counter]:
    characters = [character for character in text.strip() if character != " "]
    words = [part for word in text.split() for part in _detach_punctuation(word)]
    sizes = [(characters, n) for n in range(1, CHARACTER_ORDERS + 1)] + [(words, n) for n in range(1, word_orders + 1)]
    return [Counter(tuple(items[i : i + n]) for i in range(len(items) - n + 1)) for items, n in sizes]


def _detach_punctuation(word: str) -> list[str]:
    """Split one punctuation mark off a word: its last, else its first."""
    if len(word) > 1 and word[-1] in string.punctuation:
        return [word[:-1], word[-1]]
    if len(word) > 1 and word[0] in string.punctuation:
        return [word[0], word[1:]]
    return [word]


def _compare(hypothesis: list[Counter], reference: list[Counter]) -> list[Counter]:
    return [
        Counter(common=(ours & theirs).total(), ours=ours.total(), theirs=theirs.total())
        for ours, theirs in zip(hypothesis, reference, strict=True)
    ]


def _mean_f(counts: Sequence[Counter]) -> float:
    """Return the mean F-score of orders; one without common n-grams counts 0.

    (1 + b²) P R / (b² P + R) with P = common / ours and R = common / theirs, multiplied out.
    """
    weighted = [
        (1 + BETA**2) * c["common"] / (BETA**2 * c["theirs"] + c["ours"]) if c["common"] else 0.0 for c in counts
    ]
    return sum(weighted) / len(weighted)
