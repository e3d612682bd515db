"""ROUGE, by the packages rouge, rouge-score or pycocoevalcap."""

from collections.abc import Mapping
from typing import Any

from textbox_elmer.errors import UserError
from textbox_elmer.metrics.bleu import caption_format
from textbox_elmer.metrics.corpus import Corpus, Text, combine_references
from textbox_elmer.text.rouge_guard import guarded_scores
from textbox_elmer.text.sentences import sentence_tokenize

ROUGE_TYPES = ("rouge", "rouge-score", "pycocoevalcap")
ROUGE_PACKAGE_MAX_NGRAMS = 5


def rouge_names(config: Mapping[str, Any]) -> list[str]:
    """Return the names of the scores."""
    if config["rouge_type"] == "pycocoevalcap":
        return ["rouge-l"]
    return [*(f"rouge-{n}" for n in range(1, config["rouge_max_ngrams"] + 1)), "rouge-l"]


def validate_rouge(config: Mapping[str, Any]) -> None:
    """Raise a UserError if the package does not go up to the longest n-grams of a configuration."""
    longest = config["rouge_max_ngrams"]
    if config["rouge_type"] == "rouge" and longest > ROUGE_PACKAGE_MAX_NGRAMS:
        raise UserError(
            f"rouge_max_ngrams={longest} is too long for rouge_type=rouge, which goes up to "
            f"{ROUGE_PACKAGE_MAX_NGRAMS}: give --rouge_type=rouge-score."
        )


def rouge(corpus: Corpus, config: Mapping[str, Any]) -> dict[str, Any]:
    """Score a corpus: F1 in percent."""
    return {"rouge": _rouge, "rouge-score": _rouge_score, "pycocoevalcap": _pycocoevalcap}[config["rouge_type"]](
        corpus, config
    )


def _rouge(corpus: Corpus, config: Mapping[str, Any]) -> dict[str, Any]:
    """Score against the first reference, the only one that this package takes."""
    from rouge import Rouge

    names = rouge_names(config)
    generated = [text.joined for text in corpus.generated]
    references = [texts[0].joined for texts in corpus.references]
    scores = guarded_scores(Rouge(metrics=names).get_scores, generated, references)
    return {name: [100 * score[name]["f"] for score in scores] for name in names}


def _rouge_score(corpus: Corpus, config: Mapping[str, Any]) -> dict[str, Any]:
    from rouge_score.rouge_scorer import RougeScorer

    names = {name: f"rouge{name.removeprefix('rouge-')}" for name in rouge_names(config)} | {"rouge-l": "rougeLsum"}
    scorer = RougeScorer(list(names.values()), use_stemmer=True)
    results: dict[str, list[float]] = {name: [] for name in names}
    for text, references in zip(corpus.generated, corpus.references, strict=True):
        generated = _sentence_per_line(text)
        scores = [scorer.score(_sentence_per_line(reference), generated) for reference in references]
        for name, theirs in names.items():
            of_each = [score[theirs].fmeasure for score in scores]
            results[name].append(100 * combine_references(of_each, config["multiref_strategy"]))
    return results


def _sentence_per_line(text: Text) -> str:
    # The package could split sentences itself, but only with nltk's downloaded data.
    return "\n".join(" ".join(sentence.split("\n")) for sentence in sentence_tokenize(text.raw))


def _pycocoevalcap(corpus: Corpus, config: Mapping[str, Any]) -> dict[str, Any]:
    from pycocoevalcap.rouge.rouge import Rouge

    return {"rouge-l": [100 * score for score in Rouge().compute_score(*caption_format(corpus))[1]]}
