"""chrF, chrF+ and chrF++: F-scores of character n-grams and of none, one or two orders of word n-grams."""

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from textbox_elmer.runtime.metrics.corpus import Corpus

CHRF_TYPES = ("m-popovic", "sacrebleu")


def chrf(corpus: Corpus, config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Score a corpus, in percent; each `+` in the name is an order of word n-grams.

    `m-popovic`, the definition of Popović's chrF++ program, is the mean of all orders' F-scores; `sacrebleu` is the
    F-score of the orders' mean precision and recall. TextBox's `sacrebleu` takes examples for sets of references and
    so compares texts with other texts' references; here each is compared with its own.
    """
    from sacrebleu import corpus_chrf

    references = zip_longest(*([text.raw for text in texts] for texts in corpus.references))
    result = corpus_chrf(
        [text.raw for text in corpus.generated],
        list(references),
        word_order=name.count("+"),
        eps_smoothing=config["chrf_type"] == "m-popovic",
    )
    return {name: result.score}
