"""Which checkpoint is best: TextBox's `metrics_for_best_model`."""

from collections.abc import Mapping
from typing import Any

from textbox_elmer.errors import UserError
from textbox_elmer.metrics import metric_names
from textbox_elmer.runtime.config import Config
from textbox_elmer.suggest import nearest

LOWER_IS_BETTER = frozenset({"ter"})


def selects_by_loss(config: Config) -> bool:
    """Say whether the validation loss alone selects the best checkpoint, and no text need be generated for it."""
    return "loss" in (config["metrics_for_best_model"] or ())


def check_selection(config: Config) -> None:
    """Raise a UserError if `metrics_for_best_model` names what the configured metrics do not yield."""
    names = metric_names(config)
    for wanted in config["metrics_for_best_model"] or ():
        if wanted not in (*names, "loss"):
            guess = nearest(wanted, [*names, "loss"])
            raise UserError(
                f"metrics_for_best_model names {wanted!r}, which metrics={list(config['metrics'])} does not yield."
                + (f" Did you mean {guess!r}?" if guess else f" It yields {', '.join(names)}.")
            )


def validation_score(metrics: Mapping[str, Any], config: Mapping[str, Any]) -> float:
    """Return the sum of the selecting metrics (all numeric ones if none are named), more being better."""
    numeric = {name: value for name, value in metrics.items() if not isinstance(value, str)}
    names = [name for name in config["metrics_for_best_model"] or numeric if name in numeric]
    return float(sum(-numeric[name] if name in LOWER_IS_BETTER else numeric[name] for name in names))
