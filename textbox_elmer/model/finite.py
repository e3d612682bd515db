"""Weights and states that are no numbers, or so large that they overflow, as a diverged training leaves them."""

from collections.abc import Iterable

import torch
from torch import Tensor

# Of a weight. Those of trained models lie some nine orders of magnitude below.
LARGEST = 1e10


class NoNumbersError(ValueError):
    """What a model predicts is no number, for its weights are none, or so large that they overflow."""


def are_numbers(weights: Iterable[Tensor]) -> bool:
    """Tell whether all weights are finite, and of a size that does not overflow where they are multiplied."""
    extremes = [weight.detach().aminmax() for weight in weights if weight.is_floating_point() and weight.numel()]
    # A NaN is smaller than nothing.
    return all(bool((high < LARGEST) & (low > -LARGEST)) for low, high in extremes)


def may_ask(states: Tensor) -> bool:
    """Tell whether asking for a value costs nothing; elsewhere the host would wait, or code branch."""
    return states.device.type == "cpu" and not torch.compiler.is_compiling()


def check_numbers(states: Tensor) -> Tensor:
    """Return states as they are; raise a NoNumbersError if they are none, unless the host would wait for a device."""
    if may_ask(states) and not states.isfinite().all():
        raise NoNumbersError("The model's states are no numbers: its weights are none, or too large.")
    return states
