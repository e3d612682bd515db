"""Whether a model of some sizes can be made on this machine, told before any of it is."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel, initialization

from .configuration import ElmerConfig

# Words in the names of fields that each make as many objects as they say.
COUNTS = ("layer", "num_labels", "attention_types")
MOST = 1000
MOST_BYTES = 2**24  # of a config.json
CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def check_config_file(path: Path) -> None:
    """Raise a ValueError, in one sentence, if a config.json is damaged or counts what would never end."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError("it is too large")
        fields = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(fields, dict):
            raise ValueError("it is no mapping")
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
        raise ValueError(f"The model configuration {str(path)!r} is damaged: {reason}.") from error
    check_counts(fields, str(path))


def check_counts(fields: Mapping[str, Any], origin: str) -> None:
    """Raise a ValueError, in one sentence, if a configuration's fields ask for more layers than any model has.

    Args:
        origin: where they stand, for the sentence.
    """
    for name, value in _counts(fields):
        if abs(value) > MOST:
            shown = value if abs(value) < 10**20 else "a number of more than 20 digits"
            raise ValueError(f"{name} is {shown} in {origin}, and no model has more than {MOST:,}: correct it.")


def _counts(fields: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    waiting = list(fields.items())
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += value.items()
        elif isinstance(value, list | tuple):
            waiting += [(name, item) for item in value]
        elif isinstance(value, int | float) and any(word in str(name) for word in COUNTS):
            yield name, value


def check_fits(build: Callable[[], PreTrainedModel], trains: bool) -> None:
    """Raise a ValueError, with the reason, if a model is larger than this machine's memory.

    Args:
        build: makes the model; called where no tensor takes memory.
        trains: whether its gradients need room, too.
    """
    with torch.device("meta"), initialization.no_init_weights():
        model = build()
        model.tie_weights()  # which belongs to what is left out
    parameters = sum(part.numel() for part in model.parameters())
    needed = (parameters * (2 if trains else 1) + sum(part.numel() for part in model.buffers())) * 4  # in float32
    if needed > (memory := memory_bytes()):
        gradients = " with its gradients" if trains else ""
        raise ValueError(
            f"its {parameters:,} parameters take {needed / 1e9:,.0f} GB{gradients}, and this machine has "
            f"{memory / 1e9:,.1f} GB of memory"
        )


def check_lengths(
    model_config: PreTrainedConfig,
    sizes: Mapping[tuple[str, ...], str],
    options: Any,
    reserved: int = 0,
    origin: Callable[[str], str] = lambda key: "",
) -> None:
    """Raise a ValueError if texts may get longer than a model has positions.

    Args:
        sizes: the model's fields that count positions, by the options whose sum they must hold; one that the model
            lacks holds any.
        options: `src_len` and `tgt_len`.
        reserved: positions that no token can have.
        origin: says, in the sentence, what set an option.
    """
    for keys, field in sizes.items():
        positions = getattr(model_config, field, None)
        if positions is None:
            continue
        positions -= reserved
        if sum(options[key] for key in keys) > positions:
            lengths = " and ".join(f"{key} is {options[key]}{origin(key)}" for key in keys)
            together = " for both together" if len(keys) > 1 else ""
            room = positions - sum(options[key] for key in keys[1:])
            hint = f"give --{keys[0]}={room} or less" if room > 0 else "give less of either"
            raise ValueError(f"{lengths}, but the model has {positions} positions{together} ({field}): {hint}.")


def settle_canvas(
    config: ElmerConfig, options: Any, pretrains: bool, origin: Callable[[str], str] = lambda key: ""
) -> None:
    """Make sure that an ELMER's canvas fits into its positions; that of a pre-training is cut to fit.

    Args:
        options: `tgt_len` and `label_smoothing`.
        origin: says, in the sentence, what set an option.

    Raises:
        ValueError: it does not fit, or labels are smoothed where each token has no one position.
    """
    positions, scale = config.max_position_embeddings, config.canvas_scale
    needed = config.canvas_positions(options["tgt_len"])
    if pretrains:
        config.canvas_length = min(config.canvas_length, int(positions / scale))
    elif needed > positions and scale > 1:
        raise ValueError(
            f"tgt_len is {options['tgt_len']}{origin('tgt_len')} and canvas_scale {scale}, which makes a canvas of "
            f"{needed} positions, but the model has {positions} (max_position_embeddings): give "
            f"--tgt_len={int(positions / scale)} or less, or a smaller --canvas_scale."
        )
    plain = config.alignment == "position" and not config.copy_source
    if options["label_smoothing"] and not plain:
        raise ValueError(
            f"label_smoothing is {options['label_smoothing']}{origin('label_smoothing')}, which is for "
            "alignment=position without copy_source alone: give --label_smoothing=0."
        )


def memory_bytes() -> int:
    """Return how much memory this process may have at most: the machine's, or its container's."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in CGROUP_LIMITS:
        try:
            memory = min(memory, int(path.read_text()))
        except (OSError, ValueError):  # another kind of container, or "max": it sets no limit
            continue
    return memory
