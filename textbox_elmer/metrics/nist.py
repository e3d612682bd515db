"""NIST: n-gram precision in which a rarer n-gram counts more (Doddington 2002), as mteval computes it."""

import math
from collections import Counter
from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Any

from textbox_elmer.metrics.corpus import Corpus, ngram_counts, pooled

ORDERS = range(1, 6)


def nist(corpus: Corpus, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the corpus's NIST score over n-grams of up to five words, case ignored, words cut as mteval does.

    nltk's `corpus_nist` differs with several references: it picks one for each order, and mteval takes all of them.
    """
    from nltk.translate.nist_score import nist_length_penalty
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    tokenize = Tokenizer13a()
    generated = [tokenize(text.raw).lower().split() for text in corpus.generated]
    references = [[tokenize(text.raw).lower().split() for text in texts] for texts in corpus.references]
    seen = pooled(_all_orders(tokens) for texts in references for tokens in texts)
    seen[()] = sum(len(tokens) for texts in references for tokens in texts)
    gained = dict.fromkeys(ORDERS, 0.0)
    for tokens, texts in zip(generated, references, strict=True):
        common = _all_orders(tokens) & reduce(or_, map(_all_orders, texts))
        for ngram, count in common.items():
            gained[len(ngram)] += count * math.log2(seen[ngram[:-1]] / seen[ngram])
    # A text shorter than n counts below zero, as it does in TextBox, so that scores can be compared with its own.
    possible = {n: sum(len(tokens) - n + 1 for tokens in generated) for n in ORDERS}
    precision = sum(gained[n] / possible[n] for n in ORDERS if possible[n] > 0)
    length = sum(sum(map(len, texts)) / len(texts) for texts in references)
    return {"nist": precision * nist_length_penalty(length, sum(map(len, generated))) if length else 0.0}


def _all_orders(tokens: list[str]) -> Counter:
    return pooled(ngram_counts(tokens, n) for n in ORDERS)
