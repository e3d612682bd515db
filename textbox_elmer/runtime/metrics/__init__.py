"""Scores of generated texts, with TextBox's names and values."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from textbox_elmer.runtime.metrics.corpus import build_corpus
from textbox_elmer.runtime.metrics.registry import selected, with_defaults

__all__ = ["check_metrics", "evaluate", "metric_names"]


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
    check_metrics(settings)
    corpus = build_corpus(generated, references, settings)
    results: dict[str, float | str] = {}
    for metric in selected(settings).values():
        for name, value in metric.score(corpus, settings).items():
            results[name] = value if isinstance(value, str) else round(float(np.mean(value)), 2)
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
