"""Linear layers at inference on a CPU, multiplied by oneDNN with weights laid out for it once.

PyTorch multiplies float32 matrices by MKL, which on processors that are not Intel's runs at half the speed or less of
oneDNN's kernels. The products are float32 as well; the weights are held a second time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

# Rows for which oneDNN lays a weight out: about a canvas's or a source's tokens. Any other number is right, too.
USUAL_ROWS = 64
SAMPLED = 16


class Linear(nn.Linear):
    """`nn.Linear`, which multiplies by its packed weight while it has one."""

    packed: Tensor | None = None

    def forward(self, states: Tensor) -> Tensor:
        """Map `[..., in_features]` to `[..., out_features]`."""
        if self.packed is None or states.dtype != torch.float32:
            return super().forward(states)
        return torch.ops.mkldnn._linear_pointwise(states, self.packed, self.bias, "none", [], "")


# Not an attribute of the layers, so that copying and saving a model take no notice of it.
_packs: WeakKeyDictionary[Linear, tuple[tuple, Tensor]] = WeakKeyDictionary()


@contextmanager
def packed(module: nn.Module) -> Iterator[None]:
    """Let all `Linear`s of a module multiply by packed weights within the block, where that pays."""
    layers = [layer for layer in module.modules() if isinstance(layer, Linear) and _suits(layer.weight)]
    try:
        for layer in layers:
            layer.packed = _pack(layer)
        yield
    finally:
        for layer in layers:
            layer.packed = None


def _suits(weight: Tensor) -> bool:
    available = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    autocast = torch.is_autocast_enabled(weight.device.type)
    return available and weight.dtype == torch.float32 and weight.device.type == "cpu" and not autocast


def _pack(layer: Linear) -> Tensor:
    state, (known, pack) = fingerprint(layer.weight), _packs.get(layer, (None, None))
    if known != state:
        pack = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), USUAL_ROWS)
        _packs[layer] = state, pack
    return pack


def fingerprint(weight: Tensor) -> tuple:
    """Return what tells whether a weight is still what it was: its place, its version and some of its numbers.

    The version alone would not do: writing through `.data`, as averages of weights are put into place, leaves it. A
    change of a few numbers by that way may go unnoticed; any other way of writing is noticed.
    """
    flat = weight.detach().flatten()
    numbers = flat[:: max(len(flat) // SAMPLED, 1)].tolist()
    return weight.data_ptr(), weight._version, weight.dtype, tuple(numbers)
