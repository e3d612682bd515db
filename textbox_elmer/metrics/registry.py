"""The metrics by TextBox's names: what they score, what their results are called, what they need."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from textbox_elmer.errors import UserError
from textbox_elmer.metrics.answers import qa
from textbox_elmer.metrics.bleu import BLEU_TYPES, bleu, bleu_names, validate_bleu
from textbox_elmer.metrics.corpus import Corpus
from textbox_elmer.metrics.diversity import distinct, self_bleu, unique
from textbox_elmer.metrics.nist import nist
from textbox_elmer.metrics.rouge import ROUGE_TYPES, rouge, rouge_names, validate_rouge
from textbox_elmer.metrics.similarity import (
    CHRF_TYPES,
    METEOR_TYPES,
    bert_score,
    check_bert_score,
    check_meteor,
    chrf,
    cider,
    meteor,
    ter,
)
from textbox_elmer.suggest import nearest

Config = Mapping[str, Any]

DEFAULTS: dict[str, Any] = {
    "metrics": ["bleu"],
    "lower_evaluation": True,
    "remove_punc": False,
    "multiref_strategy": "max",
    "bleu_max_ngrams": 4,
    "bleu_type": "nltk",
    "smoothing_function": 0,
    "corpus_bleu": False,
    "rouge_max_ngrams": 2,
    "rouge_type": "rouge",
    "meteor_type": "nltk",
    "corpus_meteor": True,
    "chrf_type": "m-popovic",
    "distinct_max_ngrams": 4,
    "inter_distinct": True,
    "unique_max_ngrams": 4,
    "self_bleu_max_ngrams": 4,
    "tgt_lang": "en",
    "eval_batch_size": 64,
    "use_gpu": True,
}


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        score: maps a corpus and a configuration to results: a number, one per text, or a word of explanation.
        names: the results' names under a configuration.
        check: raises a UserError if something that it needs is not installed.
        validate: raises a UserError if it is undefined under a configuration.
    """

    score: Callable[[Corpus, Config], dict[str, Any]]
    names: Callable[[Config], list[str]]
    check: Callable[[Config], None] = lambda config: None
    validate: Callable[[Config], None] = lambda config: None


def _fixed(*names: str) -> Callable[[Config], list[str]]:
    return lambda config: list(names)


def _numbered(prefix: str, key: str) -> Callable[[Config], list[str]]:
    return lambda config: [f"{prefix}-{n}" for n in range(1, config[key] + 1)]


METRICS: dict[str, Metric] = {
    "bleu": Metric(bleu, bleu_names, validate=validate_bleu),
    "rouge": Metric(rouge, rouge_names, validate=validate_rouge),
    "meteor": Metric(meteor, _fixed("meteor"), check_meteor),
    "distinct": Metric(distinct, _numbered("distinct", "distinct_max_ngrams")),
    "unique": Metric(unique, _numbered("unique", "unique_max_ngrams")),
    "self_bleu": Metric(self_bleu, _numbered("self-bleu", "self_bleu_max_ngrams")),
    "qa": Metric(qa, _fixed("em", "f1")),
    "cider": Metric(cider, _fixed("CIDEr")),
    "ter": Metric(ter, _fixed("ter")),
    "nist": Metric(nist, _fixed("nist")),
    "bert_score": Metric(bert_score, _fixed("bertscore"), check_bert_score),
    **{name: Metric(partial(chrf, name=name), _fixed(name)) for name in ("chrf", "chrf+", "chrf++")},
}

TYPES = {"bleu": BLEU_TYPES, "rouge": ROUGE_TYPES, "meteor": METEOR_TYPES, "chrf": CHRF_TYPES}
# What TextBox has and this host has not, and what to take in its place.
METRICS_ELSEWHERE = {"spice": "cider", "style": "bleu", "multiwoz": "bleu", "hm": "bleu"}
TYPES_ELSEWHERE = {
    "rouge": {"files2rouge": "rouge-score", "py-rouge": "rouge"},
    "bleu": {
        "fast-bleu": "nltk",
        "multi-bleu": "sacrebleu",
        "mt-eval": "sacrebleu",
        "sacrebleu-romanian": "sacrebleu",
    },
}
MULTIREF_STRATEGIES = ("max", "leave_one_out")


def with_defaults(config: Config | None) -> dict[str, Any]:
    """Return a configuration's scoring keys, TextBox's defaults in place of what is unset."""
    given = {key: (config or {}).get(key) for key in DEFAULTS}
    return {key: DEFAULTS[key] if value is None else value for key, value in given.items()}


def selected(config: Config) -> dict[str, Metric]:
    """Return the metrics that a configuration (with defaults) names.

    Raises:
        UserError: one of them, or a setting of one of them, is unknown or not offered here.
    """
    names = [config["metrics"]] if isinstance(config["metrics"], str) else config["metrics"]
    if not isinstance(names, Sequence):
        raise UserError(f"metrics must be a list of names, not {names!r}.")
    for name in names:
        _validate_name(name)
        _validate_type(name.rstrip("+"), config)
        _validate_longest(name, config)
        METRICS[name].validate(config)
    strategy = config["multiref_strategy"]
    if strategy not in MULTIREF_STRATEGIES:
        raise UserError(f"multiref_strategy must be {' or '.join(MULTIREF_STRATEGIES)}, not {strategy!r}.")
    return {name: METRICS[name] for name in names}


def _validate_name(name: Any) -> None:
    known = str(name)
    if isinstance(name, str) and known in METRICS:
        return
    if known in METRICS_ELSEWHERE:
        raise UserError(
            f"This host does not offer TextBox's metric {name!r}: use {METRICS_ELSEWHERE[known]!r} instead."
        )
    guess = nearest(known, METRICS)
    hint = f"did you mean {guess!r}?" if guess else f"the metrics are {', '.join(METRICS)}."
    raise UserError(f"There is no metric {name!r}: {hint}")


def _validate_type(family: str, config: Config) -> None:
    if family not in TYPES or config[f"{family}_type"] in TYPES[family]:
        return
    chosen = str(config[f"{family}_type"])
    instead = TYPES_ELSEWHERE.get(family, {}).get(chosen)
    if instead:
        raise UserError(f"This host does not offer TextBox's {family}_type={chosen}: give --{family}_type={instead}.")
    guess = nearest(chosen, TYPES[family])
    raise UserError(
        f"{family}_type must be one of {', '.join(TYPES[family])}, not {chosen!r}"
        + (f": did you mean {guess!r}?" if guess else ".")
    )


def _validate_longest(name: str, config: Config) -> None:
    key = f"{name}_max_ngrams"
    longest = config.get(key, 1)
    if isinstance(longest, bool) or not isinstance(longest, int) or longest < 1:
        raise UserError(f"{key} must be a whole number from 1, not {longest!r}.")
