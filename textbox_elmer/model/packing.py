"""Linear layers at inference on a CPU, multiplied by oneDNN with weights laid out for it once.

PyTorch multiplies float32 matrices by MKL, which on processors that are not Intel's runs at half the speed or less of
oneDNN's kernels; bfloat16 matrices it gives to oneDNN, which lays a weight out anew in every call. The products are of
the same type; the weights are held a second time, by a `Preparation`.
"""

import torch
from torch import Tensor, nn

# Rows for which oneDNN lays a weight out: about a canvas's or a source's tokens. Any other number is right, too.
USUAL_ROWS = 64


class Linear(nn.Linear):
    """`nn.Linear`, which multiplies by its packed weight while it has one."""

    packed: Tensor | None = None

    def forward(self, states: Tensor) -> Tensor:
        """Map `[..., in_features]` to `[..., out_features]`."""
        if self.packed is None or states.dtype != self.packed.dtype:
            return super().forward(states)
        return torch.ops.mkldnn._linear_pointwise(states, self.packed, self.bias, "none", [], "")


def suits(weight: Tensor) -> bool:
    """Tell whether a weight `[out_features, in_features]` can be packed."""
    available = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    native = weight.dtype == torch.float32 or (weight.dtype == torch.bfloat16 and multiplies_bfloat16())
    return available and native and weight.device.type == "cpu"


def multiplies_bfloat16() -> bool:
    """Tell whether the processor multiplies bfloat16 natively."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def pack(layer: Linear) -> Tensor:
    """Return a layer's weight, laid out anew."""
    return torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), USUAL_ROWS)
