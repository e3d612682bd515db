"""Reading a checkpoint's weights, and saying in words what it lacks."""

from collections.abc import Callable, Mapping
from pickle import UnpicklingError
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from .configuration import ElmerConfig
from .finite import are_numbers

# Parts that a checkpoint may lack, and the field that asks for each.
NEW_PARTS = {"links.": "alignment", "pointer.": "copy_source"}
# What a checkpoint of the published kind may be taken further in, by training alone.
ADDED = {"alignment": "position", "copy_source": False, "canvas_input": "mask"}


def read_weights(
    load: Callable[..., Any], path: str, config: PreTrainedConfig | None, **arguments: Any
) -> tuple[PreTrainedModel, Mapping[str, Any]]:
    """Load a model in float32, whatever its checkpoint lacks.

    Args:
        load: `from_pretrained` of a model's class or of one of transformers' Auto classes, or what takes its arguments.
        path: a folder, or a name on the hub.
        config: the model's configuration, by default the checkpoint's.
        arguments: further ones of `from_pretrained`.

    Returns:
        the model and the report that `weight_problems` reads.

    Raises:
        ValueError: the weights are missing or damaged, in one sentence.
    """
    try:
        return load(
            path,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **arguments,
        )
    except Exception as error:  # safetensors, torch and transformers each raise their own kinds for a damaged file
        raise ValueError(f"The weights in {path!r} cannot be read: {plain_reason(error)}") from error


def check_taken_further(path: str, found: PreTrainedConfig, wanted: ElmerConfig, trains: bool) -> None:
    """Check what is asked of an ELMER beyond what its checkpoint has learnt.

    Args:
        found: the checkpoint's own configuration, BART's or ELMER's.
        wanted: the one that it is to be loaded by.
        trains: whether it will be trained, so that new weights learn something.

    Raises:
        ValueError: a part that was learnt would be dropped, one that was not would write, or the norms would move.
    """
    for name, plain in ADDED.items():
        had, asked = getattr(found, name, plain), getattr(wanted, name)
        if had == asked:
            continue
        if had != plain:
            raise ValueError(
                f"{path!r} was trained with {name}={had}, and {name}={asked} would throw away what it learnt: leave "
                f"{name} out."
            )
        if not trains:
            raise ValueError(
                f"{path!r} was trained with {name}={had} and has learnt nothing yet for {name}={asked}: train it, or "
                f"leave {name} out."
            )
    had, asked = getattr(found, "normalize_before", False), wanted.normalize_before
    if had != asked:
        raise ValueError(f"{path!r} was trained with normalize_before={had}, not {asked}: leave normalize_before out.")


def check_finite(path: str, model: PreTrainedModel) -> None:
    """Raise a ValueError, in one sentence, if a loaded model has weights that are no numbers, or too large to use."""
    learnt = dict(model.named_parameters())
    for name, weight in model.state_dict().items():
        if not (are_numbers([weight]) if name in learnt else weight.isfinite().all()):
            raise ValueError(f"The weights in {path!r} are no numbers ({name}): its training diverged; give another.")


def plain_reason(error: BaseException) -> str:
    """Return what an error says, in one line and without torch's advice to load a file whatever code it holds."""
    reason = " ".join(str(error).split())
    if isinstance(error, UnpicklingError) or "weights_only" in reason:
        return "it is damaged, or holds more than numbers"
    return reason[:300] or type(error).__name__


def new_weights(report: Mapping[str, Any], wanted: PreTrainedConfig) -> list[str]:
    """Return the weights that a checkpoint lacks because they are newly asked for: they start at random."""
    asked = tuple(prefix for prefix, name in NEW_PARTS.items() if getattr(wanted, name, ADDED[name]) != ADDED[name])
    return sorted(name for name in report["missing_keys"] if asked and name.startswith(asked))


def weight_problems(report: Mapping[str, Any]) -> str:
    """Say which weights a checkpoint lacks or has in another shape, e.g. "lacks a, b and has misfitting c (…)".

    Args:
        report: what `read_weights` returns.

    Returns:
        the predicate of a sentence about the checkpoint, empty if nothing is wrong.
    """
    problems = []
    if missing := sorted(report["missing_keys"]):
        problems.append(f"lacks {few(missing)}")
    if mismatched := sorted(report["mismatched_keys"]):
        shapes = [f"{name} ({_shape(found)} there, {_shape(needed)} needed)" for name, found, needed in mismatched]
        problems.append(f"has misfitting {few(shapes)}")
    return " and ".join(problems)


def few(names: list[str], shown: int = 3) -> str:
    """Return the first names in a list, and how many more there are."""
    rest = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + rest


def _shape(shape: Any) -> str:
    return "x".join(map(str, shape))
