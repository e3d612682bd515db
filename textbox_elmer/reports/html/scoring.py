"""The scores of single texts, under the metric that a run's task is about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from textbox_elmer.metrics import evaluate, metric_names
from textbox_elmer.runtime.config import Config
from textbox_elmer.runtime.training.selection import LOWER_IS_BETTER, validation_score

# Metrics that a single text has, too. The others compare texts with each other, or start a program or load a model.
OF_ONE_TEXT = ("rouge", "bleu", "qa", "ter", "chrf", "chrf+", "chrf++", "meteor")
FALLBACK = "rouge"
MOST_ROUNDING = 0.02


@dataclass(frozen=True)
class Scores:
    """How good each text of a test is.

    Attributes:
        names: the metrics that count.
        values: each text's mean of them, more being better (TER is counted negatively).
        means: the mean over all texts, for the metrics of which the corpus's score is that mean.
    """

    names: tuple[str, ...]
    values: list[float]
    means: Mapping[str, float]

    @property
    def title(self) -> str:
        """What `values` are, in words."""
        signed = [f"−{name}" if name in LOWER_IS_BETTER else name for name in self.names]
        return signed[0] if len(signed) == 1 else f"mean of {', '.join(signed)}"

    def contradicts(self, metrics: Mapping[str, Any]) -> str | None:
        """Return the name of a metric that was another over these texts and references, if there is one."""
        for name, mean in self.means.items():
            if isinstance(metrics.get(name), float | int) and abs(metrics[name] - mean) > MOST_ROUNDING:
                return name
        return None


def score_examples(texts: Sequence[str], references: Sequence[str | list[str]], config: Config) -> Scores:
    """Score each text by the metrics that select the run's best checkpoint, or by all of its task's.

    Raises:
        UserError: the configuration's metrics are unknown.
    """
    families = [name for name in _families(config) if _suits(name, config)]
    settings = dict(config) | {"metrics": families or [FALLBACK]}
    yielded = metric_names(settings)
    wanted = [name for name in config["metrics_for_best_model"] or () if name in yielded]
    settings["metrics_for_best_model"] = wanted
    each: list[dict[str, Any]] = [
        evaluate([text], [reference], settings) for text, reference in zip(texts, references, strict=True)
    ]
    numeric = [name for name in wanted or yielded if not isinstance(each[0][name], str)]
    values = [validation_score(scores, settings) / len(numeric) for scores in each]
    averaged = [
        name
        for family in families
        if _is_mean(family, config)
        for name in metric_names({**settings, "metrics": [family]})
    ]
    means = {name: sum(scores[name] for scores in each) / len(each) for name in averaged}
    return Scores(tuple(numeric), values, means)


def _families(config: Config) -> list[str]:
    names = config["metrics"] or []
    return [names] if isinstance(names, str) else list(names)


def _suits(name: str, config: Config) -> bool:
    return name in OF_ONE_TEXT and not (name == "meteor" and config["meteor_type"] == "pycocoevalcap")


def _is_mean(family: str, config: Config) -> bool:
    if family == "bleu":
        return config["bleu_type"] in (None, "nltk") and not config["corpus_bleu"]
    return family in ("rouge", "qa", "ter")
