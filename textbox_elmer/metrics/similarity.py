"""Metrics whose work is another package's: CIDEr, METEOR, TER, BERTScore and chrF."""

import subprocess
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from itertools import zip_longest
from typing import Any

import nltk

from textbox_elmer.errors import UserError
from textbox_elmer.metrics.bleu import caption_format
from textbox_elmer.metrics.corpus import Corpus, Text
from textbox_elmer.text.rouge_guard import NO_TEXT

CHRF_TYPES = ("m-popovic", "sacrebleu")
METEOR_TYPES = ("nltk", "pycocoevalcap")
JAVA_ANSWERS_IN = 30  # seconds


def cider(corpus: Corpus, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return CIDEr on TextBox's scale, ten times that of the package."""
    from pycocoevalcap.cider.cider import Cider

    return {"CIDEr": 10 * float(Cider().compute_score(*caption_format(corpus))[0])}


def check_meteor(config: Mapping[str, Any]) -> None:
    """Raise a UserError if METEOR's data or program is not installed."""
    if config["meteor_type"] == "pycocoevalcap":
        if not _java_runs():
            raise UserError(
                "The metric meteor (meteor_type=pycocoevalcap) runs a Java program: install Java 8 or later."
            )
    elif not _nltk_has("corpora/wordnet.zip") and not _nltk_has("corpora/wordnet"):
        raise UserError(
            "The metric meteor (meteor_type=nltk) needs nltk's WordNet data: run `python -m nltk.downloader "
            "wordnet`, or give --meteor_type=pycocoevalcap, which needs Java."
        )


def _java_runs() -> bool:
    # Where no Java is installed, macOS has a `java` that only says so.
    try:
        return subprocess.run(["java", "-version"], capture_output=True, timeout=JAVA_ANSWERS_IN).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _nltk_has(resource: str) -> bool:
    try:
        nltk.data.find(resource)
    except LookupError:
        return False
    return True


def meteor(corpus: Corpus, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return METEOR in percent, of the corpus (`corpus_meteor`, pycocoevalcap's type) or of each text."""
    if config["meteor_type"] == "pycocoevalcap":
        return {"meteor": _java_meteor(corpus, bool(config["corpus_meteor"]))}
    from nltk.translate.meteor_score import meteor_score

    pairs = zip(corpus.generated, corpus.references, strict=True)
    scores = [meteor_score([ref.joined.split() for ref in refs], text.joined.split()) for text, refs in pairs]
    return {"meteor": [100 * score for score in scores]}


def _java_meteor(corpus: Corpus, whole: bool) -> float | list[float]:
    from pycocoevalcap.meteor.meteor import Meteor

    scorer = Meteor()
    try:
        of_corpus, of_texts = scorer.compute_score(*caption_format(corpus))
    except (OSError, ValueError) as error:
        # compute_score leaves the lock taken, and the scorer's deletion would wait for it forever.
        scorer.lock.release()
        with suppress(OSError):
            scorer.meteor_p.stdin.close()
        raise UserError(
            "The metric meteor (meteor_type=pycocoevalcap) stopped with its Java program: it needs 2 GB of free memory."
        ) from error
    return 100 * of_corpus if whole else [100 * score for score in of_texts]


def ter(corpus: Corpus, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return each text's translation edit rate in percent, less being better."""
    from sacrebleu import sentence_ter

    pairs = zip(corpus.generated, corpus.references, strict=True)
    return {"ter": [sentence_ter(text.raw, [reference.raw for reference in refs]).score for text, refs in pairs]}


def check_bert_score(config: Mapping[str, Any]) -> None:
    """Raise a UserError if the package is not installed."""
    if find_spec("bert_score") is None:
        raise UserError("The metric bert_score needs a package of its own: pip install 'textbox-elmer[bert-score]'.")


def bert_score(corpus: Corpus, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return each text's BERTScore F1 in percent."""
    from bert_score import score

    try:
        *_, f1 = score(
            [_visible(text) for text in corpus.generated],
            [[_visible(text) for text in texts] for texts in corpus.references],
            lang=config["tgt_lang"],
            batch_size=config["eval_batch_size"],
            device=None if config["use_gpu"] else "cpu",
        )
    except OSError as error:
        raise UserError(
            "The metric bert_score needs its model from the hub: connect once so that it is cached."
        ) from error
    return {"bertscore": (100 * f1).tolist()}


def _visible(text: Text) -> str:
    # For a blank text the package calls a tokenizer's method that transformers 5 no longer has.
    return text.raw if text.raw.strip() else NO_TEXT


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
