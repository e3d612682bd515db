"""Scores of generated texts, with TextBox's names and values."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from textbox_elmer.metrics.corpus import Corpus, build_corpus
from textbox_elmer.metrics.registry import DEFAULTS, METRICS, TYPES, selected, with_defaults

__all__ = ["Corpus", "all_metric_names", "build_corpus", "check_metrics", "evaluate", "metric_names", "score"]


def evaluate(
    generated: Sequence[str], references: Sequence[str | Sequence[str]], config: Mapping[str, Any] | None = None
) -> dict[str, float | str]:
    """Score generated texts against references.

    Args:
        generated: one text per example.
        references: one reference, or several, per example.
        config: `metrics` (["bleu"]) and TextBox's keys for them; what is unset has TextBox's default.

    Returns:
        scores rounded to two decimals, under TextBox's names.

    Raises:
        UserError: an unknown metric or type, one that needs what is not installed, or unusable texts.
    """
    settings = with_defaults(config)
    scores = score(build_corpus(generated, references, settings), settings)
    return {
        name: value if isinstance(value, str) else round(float(np.mean(value)), 2) for name, value in scores.items()
    }


def score(corpus: Corpus, config: Mapping[str, Any]) -> dict[str, float | list[float] | str]:
    """Score a corpus under TextBox's names: one number per text where the metric is their mean, else one in all.

    Args:
        corpus: made by `build_corpus` under the same configuration.
        config: as for `evaluate`.

    Raises:
        UserError: an unknown metric or type, or one that needs what is not installed.
    """
    settings = with_defaults(config)
    check_metrics(settings)
    results: dict[str, float | list[float] | str] = {}
    for metric in selected(settings).values():
        results |= metric.score(corpus, settings)
    return results


def check_metrics(config: Mapping[str, Any] | None) -> None:
    """Raise the UserErrors that `evaluate` would, without a text: before hours of training."""
    settings = with_defaults(config)
    for metric in selected(settings).values():
        metric.check(settings)


def metric_names(config: Mapping[str, Any] | None) -> list[str]:
    """Return the names of the scores that `evaluate` yields under a configuration."""
    settings = with_defaults(config)
    return [name for metric in selected(settings).values() for name in metric.names(settings)]


def all_metric_names() -> tuple[str, ...]:
    """Return the names of all numbers that `evaluate` yields with TextBox's lengths of n-grams, whatever the types."""
    names: dict[str, None] = {}  # in the metrics' order
    for family, metric in METRICS.items():
        for kind in TYPES.get(family, (None,)):
            names |= dict.fromkeys(metric.names(DEFAULTS | {f"{family}_type": kind}))
    return tuple(name for name in names if name != "bleu-precisions")  # a text of four numbers
