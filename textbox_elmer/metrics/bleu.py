"""BLEU, by nltk (sentence or corpus), sacrebleu or pycocoevalcap."""

import warnings
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from textbox_elmer.errors import UserError
from textbox_elmer.metrics.corpus import Corpus

BLEU_TYPES = ("nltk", "sacrebleu", "pycocoevalcap")
PYCOCO_MAX_NGRAMS = 4
SMOOTHING_METHODS = range(8)
INTERPOLATION = 6  # the method that needs shorter n-grams' matches to smooth those of three words and more


def bleu_names(config: Mapping[str, Any]) -> list[str]:
    """Return the names of the scores."""
    if config["bleu_type"] == "sacrebleu":
        return ["bleu", "bleu-precisions"]
    return [f"bleu-{n}" for n in range(1, config["bleu_max_ngrams"] + 1)]


def validate_bleu(config: Mapping[str, Any]) -> None:
    """Raise a UserError if BLEU is undefined under a configuration."""
    longest, smoothing = config["bleu_max_ngrams"], config["smoothing_function"]
    if config["bleu_type"] == "pycocoevalcap" and longest > PYCOCO_MAX_NGRAMS:
        raise UserError(
            f"bleu_max_ngrams={longest} is too long for bleu_type=pycocoevalcap, which goes up to {PYCOCO_MAX_NGRAMS}."
        )
    if config["bleu_type"] == "nltk":
        if isinstance(smoothing, bool) or not isinstance(smoothing, int) or smoothing not in SMOOTHING_METHODS:
            raise UserError(f"smoothing_function must be 0 to 7 (nltk's methods), not {smoothing!r}.")
        if smoothing == INTERPOLATION and longest <= 2:
            raise UserError(
                f"smoothing_function={INTERPOLATION} needs n-grams of three words: give --bleu_max_ngrams=3 or more."
            )


def uniform_weights(longest: int) -> list[list[float]]:
    """Return, for each n up to `longest`, equal weights for the n-grams up to n and none for longer ones."""
    return [[1 / n] * n + [0.0] * (longest - n) for n in range(1, longest + 1)]


def bleu(corpus: Corpus, config: Mapping[str, Any]) -> dict[str, Any]:
    """Score a corpus, in percent."""
    names = bleu_names(config)
    if config["bleu_type"] == "sacrebleu":
        return _sacrebleu(corpus)
    if config["bleu_type"] == "pycocoevalcap":
        return dict(zip(names, _pycocoevalcap(corpus), strict=False))
    return dict(zip(names, _nltk(corpus, config), strict=True))


def _nltk(corpus: Corpus, config: Mapping[str, Any]) -> list[Any]:
    from nltk.translate.bleu_score import SmoothingFunction, corpus_bleu, sentence_bleu

    weights = uniform_weights(config["bleu_max_ngrams"])
    smoothing = getattr(SmoothingFunction(), f"method{config['smoothing_function']}")
    references = [[text.tokens for text in texts] for texts in corpus.references]
    generated = [text.tokens for text in corpus.generated]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nltk warns of every text without a 4-gram in common
        try:
            if config["corpus_bleu"]:
                return [100 * corpus_bleu(references, generated, row, smoothing) for row in weights]
            scores = [
                [sentence_bleu(refs, tokens, row, smoothing) for row in weights]
                for refs, tokens in zip(references, generated, strict=True)
            ]
        except AssertionError as error:
            raise UserError(
                f"smoothing_function={INTERPOLATION} is undefined for texts without two neighbouring words in common "
                "with a reference, and there are such: give another, e.g. --smoothing_function=7."
            ) from error
    return [[100 * score for score in column] for column in zip(*scores, strict=True)]


def _sacrebleu(corpus: Corpus) -> dict[str, Any]:
    import sacrebleu

    references = list(zip_longest(*([text.raw for text in texts] for texts in corpus.references)))
    result = sacrebleu.corpus_bleu([text.raw for text in corpus.generated], references)
    return {"bleu": result.score, "bleu-precisions": result.prec_str}


def _pycocoevalcap(corpus: Corpus) -> list[float]:
    from pycocoevalcap.bleu.bleu import Bleu

    references, generated = caption_format(corpus)
    return [100 * score for score in Bleu(PYCOCO_MAX_NGRAMS).compute_score(references, generated, verbose=0)[0]]


def caption_format(corpus: Corpus) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    """Return references and generated texts as pycocoevalcap's scorers take them."""
    references = {number: [text.joined for text in texts] for number, texts in enumerate(corpus.references)}
    return references, {number: [text.joined] for number, text in enumerate(corpus.generated)}
