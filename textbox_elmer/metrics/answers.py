"""Question answering's exact match and F1 over words."""

import re
import string
from collections import Counter
from collections.abc import Mapping
from typing import Any

from textbox_elmer.metrics.corpus import Corpus, combine_references

ARTICLES = re.compile(r"\b(a|an|the)\b")
WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def qa(corpus: Corpus, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return `em` and `f1` of each text, in percent, over words without case, punctuation and articles."""
    results: dict[str, list[float]] = {"em": [], "f1": []}
    for text, references in zip(corpus.generated, corpus.references, strict=True):
        answer = _words(text.joined)
        truths = [_words(reference.joined) for reference in references]
        for name, score in (("em", _exact), ("f1", _f1)):
            of_each = [score(answer, truth) for truth in truths]
            results[name].append(100 * combine_references(of_each, config["multiref_strategy"]))
    return results


def _words(text: str) -> list[str]:
    return ARTICLES.sub(" ", text.lower().translate(WITHOUT_PUNCTUATION)).split()


def _exact(answer: list[str], truth: list[str]) -> float:
    return float(answer == truth)


def _f1(answer: list[str], truth: list[str]) -> float:
    common = (Counter(answer) & Counter(truth)).total()
    return 2 * common / (len(answer) + len(truth)) if common else 0.0
