"""Whether a checkpoint holds all that its training goes on with, told before anything is made."""

import logging
import random
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np
import torch
from torch.optim import Optimizer
from transformers import TrainerControl, TrainerState

from textbox_elmer.errors import UserError
from textbox_elmer.reading import read_json
from textbox_elmer.runtime.config import Config
from textbox_elmer.runtime.training.processes import Processes
from textbox_elmer.terminal import reason_of
from textbox_elmer.training_files import check_same_optimizer, damaged, load_training_file

logger = logging.getLogger(__name__)

STATE, OPTIMIZER, SCHEDULER = "trainer_state.json", "optimizer.pt", "scheduler.pt"
# What holds the optimizer's state instead under FSDP, and under DeepSpeed.
SHARED_OPTIMIZER, DEEPSPEED = "optimizer.bin", "global_step*"
MOST_STEPS = 2**53  # beyond it a float skips whole numbers
MOST = 1e300  # of any other number; infinite ones and NaN are not below it
SIDES = (2, 3, 5, 7, 11)  # of what stands in for a parameter: each is another


def check_resumable(checkpoint: Path, saved: Config, config: Config, processes: Processes) -> None:
    """Raise a UserError if a training cannot go on from a checkpoint as the one that saved it would.

    Args:
        saved: the configuration that lies in the checkpoint.
        config: that of the run that goes on.
        processes: those that go on.
    """
    read_state(checkpoint)
    check_same_optimizer(saved["optimizer"], config["optimizer"], checkpoint)
    if not any(checkpoint.glob(DEEPSPEED)):
        _check_optimizer(checkpoint, processes.shards)
        load_training_file(checkpoint / SCHEDULER)
    _check_random_state(checkpoint, f"rng_state_{processes.index}.pth" if processes.count > 1 else "rng_state.pth")


def _check_optimizer(checkpoint: Path, shards: bool) -> None:
    shared = (checkpoint / SHARED_OPTIMIZER).is_file()
    if (shared and not shards) or (shards and (checkpoint / OPTIMIZER).is_file()):
        raise UserError(
            f"The training of {str(checkpoint)!r} was launched {'with' if shared else 'without'} --use_fsdp and goes "
            "on so alone: launch it as it was, or give --resume_training=False to take the weights alone."
        )
    load_training_file(checkpoint / (SHARED_OPTIMIZER if shards else OPTIMIZER))


def read_state(checkpoint: Path) -> TrainerState:
    """Read where a training had got to.

    Raises:
        UserError: the file is missing, damaged, or holds what no training writes.
    """
    path = checkpoint / STATE
    try:
        values, hints = read_json(path), get_type_hints(TrainerState)
        for name, value in values.items():
            if name not in hints or not _suits(value, hints[name], name):
                raise ValueError(f"{name[:40]} is {str(value)[:40]}")
        step, folder = values["global_step"], checkpoint.resolve().name
        if folder.startswith("checkpoint-") and folder != f"checkpoint-{step}":
            raise ValueError(f"global_step is {step}")
        return TrainerState(**values)
    except (OSError, ValueError, LookupError, AttributeError, RecursionError) as error:
        raise damaged(path, reason_of(error)) from error


def check_loaded(optimizer: Optimizer, kind: type[Optimizer], arguments: Mapping[str, Any], checkpoint: Path) -> None:
    """Raise a UserError unless a loaded optimizer can make a step.

    torch itself compares no shapes, and finds only at that step what is missing.

    Args:
        kind, arguments: what the optimizer was made of.
    """
    for group in optimizer.param_groups:
        settings = {name: value for name, value in group.items() if name != "params"}
        wanted: dict[int, Mapping[str, Any]] = {}
        for parameter in group["params"]:
            if not (state := optimizer.state.get(parameter)):
                continue  # nothing was learnt by it yet
            dimensions = parameter.dim()
            try:
                if dimensions not in wanted:
                    wanted[dimensions] = _state_after_a_step(kind, arguments, settings, dimensions)
                sides = dict(zip(SIDES, parameter.shape, strict=False))
                sound = _shapes(state, {}) == _shapes(wanted[dimensions], sides)
            except Exception as error:  # whatever an optimizer makes of values that no optimizer has
                raise damaged(checkpoint / OPTIMIZER, reason_of(error)) from error
            if not sound:
                raise damaged(checkpoint / OPTIMIZER, "it belongs to another model or optimizer")


def _state_after_a_step(
    kind: type[Optimizer], arguments: Mapping[str, Any], settings: Mapping[str, Any], dimensions: int
) -> Mapping[str, Any]:
    small = torch.nn.Parameter(torch.ones(SIDES[:dimensions]))
    small.grad = torch.ones_like(small)
    optimizer = kind([small], **arguments)
    optimizer.param_groups[0].update(settings)
    optimizer.step()
    return optimizer.state[small]


def alike(value: Any, other: Any) -> bool:
    """Tell whether two plain values are built alike: by the same keys, equally long, numbers in the same places."""
    if isinstance(other, dict):
        same = isinstance(value, dict) and value.keys() == other.keys()
        return same and all(alike(value[key], other[key]) for key in other)
    if isinstance(other, list | tuple):
        same = isinstance(value, type(other)) and len(value) == len(other)
        return same and all(map(alike, value, other))
    if type(other) is int:
        return type(value) is int and abs(value) <= MOST_STEPS
    if type(other) is float:
        return type(value) in (int, float) and abs(value) < MOST
    return type(value) is type(other)


def _shapes(state: Mapping[str, Any], sides: Mapping[int, int]) -> dict[str, list[int] | None]:
    """Return the shape of each tensor in a parameter's state, with `sides` exchanged, and None for a number."""
    return {
        name: [sides.get(side, side) for side in value.shape] if isinstance(value, torch.Tensor) else None
        for name, value in state.items()
    }


def _check_random_state(checkpoint: Path, name: str) -> None:
    if not (checkpoint / name).is_file() and any(checkpoint.glob("rng_state*.pth")):
        logger.warning(
            "%s was saved by another number of processes: what is drawn at random goes on otherwise.", checkpoint
        )
        return
    state = load_training_file(checkpoint / name)
    before = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    try:
        random.setstate(state["python"])
        np.random.set_state(state["numpy"])
        torch.random.set_rng_state(state["cpu"])
    except (TypeError, ValueError, LookupError, RuntimeError, OverflowError) as error:
        raise damaged(checkpoint / name, reason_of(error)) from error
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.random.set_rng_state(before[2])


def _suits(value: Any, hint: Any, name: str) -> bool:
    """Tell whether this may be a `TrainerState`'s field."""
    if name == "log_history":
        return isinstance(value, list) and all(map(_is_log, value))
    if name == "stateful_callbacks":
        return isinstance(value, dict) and all(map(_are_switches, value.values()))
    if isinstance(hint, UnionType):
        return any(_suits(value, kind, "") for kind in get_args(hint))
    if hint is float:
        return type(value) in (int, float) and abs(value) < MOST
    if hint is int:
        # A stream whose length nobody knows has endless epochs.
        return type(value) is int and 0 <= value <= (sys.maxsize if name == "num_train_epochs" else MOST_STEPS)
    return isinstance(value, get_origin(hint) or hint)


def _is_log(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and type(entry.get("step")) is int
        and all(isinstance(value, int | float | str) for value in entry.values())
        and not any(isinstance(entry.get(name), str) for name in ("eval_loss", "eval_score"))
    )


def _are_switches(entry: Any) -> bool:
    """Tell whether this is the state of Trainer's control, the one callback that a run has with a state."""
    if not isinstance(entry, dict) or entry.keys() != {"args", "attributes"} or entry["attributes"] != {}:
        return False
    args, known = entry["args"], {field.name for field in fields(TrainerControl)}
    return isinstance(args, dict) and known >= args.keys() and all(type(value) is bool for value in args.values())
