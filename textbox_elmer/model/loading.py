"""Reading a checkpoint's configuration and weights, and saying in words what it lacks."""

import logging
from collections.abc import Callable, Mapping
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

from .configuration import ElmerConfig
from .finite import are_numbers
from .sizes import check_counts

logger = logging.getLogger(__name__)

# Parts that a checkpoint may lack, and the field that asks for each.
NEW_PARTS = {"links.": "alignment", "pointer.": "copy_source"}
# What a checkpoint of the published kind may be taken further in, by training alone.
ADDED = {"alignment": "position", "copy_source": False, "canvas_input": "mask"}


def read_config(path: str, **arguments: Any) -> PreTrainedConfig:
    """Return the configuration that a checkpoint came with.

    Args:
        path: a folder, or a name on the hub.
        arguments: further ones of `from_pretrained`.

    Raises:
        ValueError: there is none, or it is damaged, in one sentence.
    """
    try:
        check_counts(PreTrainedConfig.get_config_dict(path, **arguments)[0], f"the config.json of {path!r}")
        # Said outright: unset, transformers asks on the terminal whether to run a checkpoint's own code.
        return AutoConfig.from_pretrained(path, trust_remote_code=False, **arguments)
    except Exception as error:  # each kind of model has its own ways to say that its configuration is none
        raise ValueError(
            f"No model configuration can be read from {path!r}: it is no folder with a valid config.json, and the hub "
            f"offers or answers nothing by that name ({plain_reason(error)}). Give a local folder, or connect first."
        ) from error


def load_weights(
    load: Callable[..., Any], path: str, config: PreTrainedConfig | None, **arguments: Any
) -> PreTrainedModel:
    """Load a model in float32 and see to it that its checkpoint has all of it, but for parts that are newly asked for.

    Args:
        load: `from_pretrained` of a model's class or of one of transformers' Auto classes, or what takes its arguments.
        path: a folder, or a name on the hub.
        config: the model's configuration, by default the checkpoint's.
        arguments: further ones of `from_pretrained`.

    Raises:
        ValueError: weights are missing, misfitting, damaged or no numbers, in one sentence.
    """
    try:
        model, report = load(
            path,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **arguments,
        )
    except Exception as error:  # safetensors, torch and transformers each raise their own kinds for a damaged file
        raise ValueError(f"The weights in {path!r} cannot be read: {plain_reason(error)}") from error
    _check_finite(path, model)
    _check_complete(path, report, model)
    for part in filter(_is_sinusoidal, model.modules()):
        part.requires_grad_(False)  # which loading forgets
    return model


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


def _check_finite(path: str, model: PreTrainedModel) -> None:
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


def _check_complete(path: str, report: Mapping[str, Any], model: PreTrainedModel) -> None:
    """Raise a ValueError if a loading report lists weights that are missing or have another shape."""
    new = _new_weights(report, model.config)
    # Positions told by sines are computed: PEGASUS's published checkpoints do without them.
    sines = tuple(f"{name}." for name, part in model.named_modules() if _is_sinusoidal(part))
    missing = sorted(name for name in report["missing_keys"] if not name.startswith(sines) and name not in new)
    problems = [f"lacks {_few(missing)}"] if missing else []
    if mismatched := sorted(report["mismatched_keys"]):
        shapes = [f"{name} ({_shape(found)} there, {_shape(needed)} needed)" for name, found, needed in mismatched]
        problems.append(f"has misfitting {_few(shapes)}")
    if problems:
        raise ValueError(f"The checkpoint {path!r} {' and '.join(problems)}: give one made by this kind of model.")
    if new:
        count = sum(model.get_parameter(name).numel() for name in new)
        logger.info(
            "New beside the checkpoint's weights, and to be learnt: %s (%s numbers).", _few(new, 16), f"{count:,}"
        )
    if unexpected := sorted(report["unexpected_keys"]):
        logger.warning("The checkpoint %r also holds %s, which the model has no place for.", path, _few(unexpected))


def _new_weights(report: Mapping[str, Any], wanted: PreTrainedConfig) -> list[str]:
    """Return the weights that a checkpoint lacks because they are newly asked for: they start at random."""
    asked = tuple(prefix for prefix, name in NEW_PARTS.items() if getattr(wanted, name, ADDED[name]) != ADDED[name])
    return sorted(name for name in report["missing_keys"] if asked and name.startswith(asked))


def _is_sinusoidal(part: nn.Module) -> bool:
    return "Sinusoidal" in type(part).__name__


def _few(names: list[str], shown: int = 3) -> str:
    rest = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + rest


def _shape(shape: Any) -> str:
    return "x".join(map(str, shape))
