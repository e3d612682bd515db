"""Whether a model of some sizes can be made on this machine, told before any of it is."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, initialization

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


def _counts(fields: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
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


def memory_bytes() -> int:
    """Return how much memory this process may have at most: the machine's, or its container's."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in CGROUP_LIMITS:
        try:
            memory = min(memory, int(path.read_text()))
        except (OSError, ValueError):  # another kind of container, or "max": it sets no limit
            continue
    return memory
