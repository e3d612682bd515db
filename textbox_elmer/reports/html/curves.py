"""A run's curves, out of its TensorBoard event files."""

import logging
import math
from pathlib import Path
from typing import Any

from textbox_elmer.errors import UserError
from textbox_elmer.terminal import reason_of

Curve = list[tuple[int, float]]  # step and value


def read_curves(folder: Path) -> dict[str, Curve]:
    """Return the scalars that a run logged, by name and in the order of their steps; values that are none left out.

    Raises:
        UserError: there are none, or they cannot be read.
    """
    if not folder.is_dir() or not any(folder.rglob("*tfevents*")):
        raise UserError(f"There are no training curves: {str(folder)!r} holds no event files.")
    events = _load(folder)
    names = events.Tags()["scalars"]
    curves = {}
    for name in names:
        by_step = {event.step: event.value for event in events.Scalars(name)}  # of a repeated step, the latest
        curves[name] = [(step, value) for step, value in sorted(by_step.items()) if math.isfinite(value)]
    return curves


def _load(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    # It tells the console of every damaged record, in its own words.
    log = logging.getLogger("tensorboard")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        return EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    except Exception as error:  # whatever protobuf, or TensorBoard's reader, makes of a damaged file
        reason = reason_of(error)
        raise UserError(f"The training curves in {str(folder)!r} cannot be read ({reason}).") from error
    finally:
        log.setLevel(level)
