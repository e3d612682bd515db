"""Metrics whose work is another package's: CIDEr, METEOR, TER, NIST and BERTScore."""

import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import nltk

from textbox_elmer.runtime.errors import UserError
from textbox_elmer.runtime.metrics.bleu import caption_format
from textbox_elmer.runtime.metrics.corpus import Corpus

METEOR_TYPES = ("nltk", "pycocoevalcap")
NIST_ORDERS = 5


def cider(corpus: Corpus, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return CIDEr on TextBox's scale, ten times that of the package."""
    from pycocoevalcap.cider.cider import Cider

    return {"CIDEr": 10 * float(Cider().compute_score(*caption_format(corpus))[0])}


def check_meteor(config: Mapping[str, Any]) -> None:
    """Raise a UserError if METEOR's data or program is not installed."""
    if config["meteor_type"] == "pycocoevalcap":
        if shutil.which("java") is None:
            raise UserError(
                "The metric meteor (meteor_type=pycocoevalcap) runs a Java program: install Java 8 or later."
            )
        return
    try:
        nltk.data.find("corpora/wordnet.zip")
    except LookupError:
        try:
            nltk.data.find("corpora/wordnet")
        except LookupError:
            raise UserError(
                "The metric meteor (meteor_type=nltk) needs nltk's WordNet data: run `python -m nltk.downloader "
                "wordnet`, or give --meteor_type=pycocoevalcap, which needs Java."
            ) from None


def meteor(corpus: Corpus, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return METEOR in percent, of the corpus (`corpus_meteor`, pycocoevalcap's type) or of each text."""
    if config["meteor_type"] == "pycocoevalcap":
        from pycocoevalcap.meteor.meteor import Meteor

        whole, each = Meteor().compute_score(*caption_format(corpus))
        return {"meteor": 100 * whole if config["corpus_meteor"] else [100 * score for score in each]}
    from nltk.translate.meteor_score import meteor_score

    pairs = zip(corpus.generated, corpus.references, strict=True)
    scores = [meteor_score([ref.joined.split() for ref in refs], text.joined.split()) for text, refs in pairs]
    return {"meteor": [100 * score for score in scores]}


def ter(corpus: Corpus, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return each text's translation edit rate in percent, less being better."""
    from sacrebleu import sentence_ter

    pairs = zip(corpus.generated, corpus.references, strict=True)
    return {"ter": [sentence_ter(text.raw, [reference.raw for reference in refs]).score for text, refs in pairs]}


def nist(corpus: Corpus, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the corpus's NIST score over n-grams up to five words, or up to the longest text's length."""
    from nltk.translate.nist_score import corpus_nist

    generated = [text.tokens for text in corpus.generated]
    references = [[text.tokens for text in texts] for texts in corpus.references]
    orders = min(NIST_ORDERS, max(map(len, generated)))
    return {"nist": float(corpus_nist(references, generated, orders))}


def check_bert_score(config: Mapping[str, Any]) -> None:
    """Raise a UserError if the package is not installed."""
    if find_spec("bert_score") is None:
        raise UserError("The metric bert_score needs a package of its own: pip install 'textbox-elmer[bert-score]'.")


def bert_score(corpus: Corpus, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mean BERTScore F1 in percent."""
    from bert_score import score

    try:
        *_, f1 = score(
            [text.raw for text in corpus.generated],
            [[text.raw for text in texts] for texts in corpus.references],
            lang=config["tgt_lang"] or "en",
            batch_size=config["eval_batch_size"] or 64,
        )
    except OSError as error:
        raise UserError(
            "The metric bert_score needs its model from the hub: connect once so that it is cached."
        ) from error
    return {"bertscore": 100 * f1.mean().item()}
