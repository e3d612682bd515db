"""TextBox's learning-rate schedules, as multipliers for torch's `LambdaLR`."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from textbox_elmer.errors import UserError

SCHEDULE_KEYS = ("init_lr", "max_lr", "n_warmup_steps", "max_steps")


def check_schedule(kwargs: Mapping[str, Any]) -> None:
    """Raise a UserError if `scheduler_kwargs` holds what no schedule takes."""
    for key, value in kwargs.items():
        if key not in SCHEDULE_KEYS:
            raise UserError(f"scheduler_kwargs has no entry {key!r}: it takes {', '.join(SCHEDULE_KEYS)}.")
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise UserError(f"scheduler_kwargs: {key} must be a number of at least 0, not {value!r}.")


def build_schedule(
    optimizer: Optimizer, name: str | None, kwargs: Mapping[str, Any], learning_rate: float, training_steps: int
) -> LambdaLR:
    """Return the schedule `linear`, `cosine`, `inverse`, `constant` or, for None, an unchanging rate.

    All rise from `init_lr` (0) to `max_lr` (`learning_rate`) in `n_warmup_steps` (0) steps; then `linear` and `cosine`
    fall back to `init_lr` at step `max_steps` (all training steps), `inverse` falls with the step's inverse square
    root, and `constant` stays. The first optimizer step is step 1, so that no step is spent at a rate of 0.
    """
    if name is None:
        return LambdaLR(optimizer, lambda step: 1.0)
    low = kwargs.get("init_lr", 0.0) / learning_rate
    high = kwargs.get("max_lr", learning_rate) / learning_rate
    warmup = kwargs.get("n_warmup_steps", 0)
    last = max(kwargs.get("max_steps", training_steps), warmup + 1)
    fall: Callable[[int], float] = {
        "linear": lambda step: high - (high - low) * min(1.0, (step - warmup) / (last - warmup)),
        "cosine": lambda step: (
            low + (high - low) / 2 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / (last - warmup))))
        ),
        "inverse": lambda step: high * math.sqrt(max(warmup, 1) / step),
        "constant": lambda step: high,
    }[name]

    def multiplier(finished_steps: int) -> float:
        step = finished_steps + 1
        return low + (high - low) * step / warmup if step < warmup else fall(step)

    return LambdaLR(optimizer, multiplier)
