"""Whether int8 pays for the linear layers on a CPU: beside float32 and bfloat16 with packed weights, the same texts."""

import copy
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from benchmarks.starting import start
from textbox_elmer.bench.latency import SHAPES, listed, machine
from textbox_elmer.bench.options import Options
from textbox_elmer.bench.planted_weights import plant
from textbox_elmer.bench.sizes import sizes_of
from textbox_elmer.bench.timing import seconds_of
from textbox_elmer.model import ElmerConfig, ElmerForConditionalGeneration
from textbox_elmer.model.packing import Linear

OPTIONS: Options = {
    "shapes": ("xsum,pc", "which lengths of sources and texts"),
    "rounds": (10, "rounds that the medians are of"),
    "layers": (6, "layers of the encoder, and of the decoder"),
    "d_model": (768, "the models' width"),
    "vocab_size": (50265, "tokens that the models know"),
}
LARGEST_CODE = 127
SMALLEST = 1e-9
Write = Callable[[], Tensor]


def main(settings: dict[str, Any]) -> None:
    """Print what a text takes by each way, bfloat16's time over it, and how many of float32's tokens it writes.

    The head stays as it is, and all ways screen it alike where they can. torchao has a row where it is installed.

    Raises:
        UserError: an unknown shape.
    """
    print(machine(torch.device("cpu"), settings))
    for shape in listed(settings, "shapes", SHAPES):
        source, canvas, output = SHAPES[shape]
        ways = _ways(settings, source, canvas, output)
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for turn in tqdm(range(settings["rounds"] + 1), desc=shape, disable=None):
            for name, write in ways.items():
                spent = seconds_of(write, torch.device("cpu"))
                if turn:  # the first turn warms up
                    seconds[name].append(spent)
        medians = {name: statistics.median(spent) for name, spent in seconds.items()}
        exact = ways["float32"]()
        print(f"\n{shape}: {source} source tokens, canvas {canvas}, {output} tokens written, soft exit, batch 1\n")
        print("| linear layers | ms | bfloat16 / row | tokens of float32 |")
        print("| --- | --- | --- | --- |")
        for name, median in medians.items():
            same = _share(ways[name](), exact)
            print(f"| {name} | {1000 * median:.1f} | {medians['bfloat16'] / median:.2f} | {same:.1%} |", flush=True)


def _ways(settings: dict[str, Any], source: int, canvas: int, output: int) -> dict[str, Write]:
    torch.manual_seed(0)
    sizes = sizes_of(settings) | {"vocab_size": settings["vocab_size"], "exit_mode": "soft"}
    base = ElmerForConditionalGeneration(ElmerConfig(**sizes)).eval()
    plant(base, output, canvas)
    ids = torch.randint(5, settings["vocab_size"], (1, source))
    made = {"float32": copy.deepcopy(base), "bfloat16": copy.deepcopy(base).bfloat16()}
    made["int8, oneDNN, a scale for a layer's states"] = _replaced(made["bfloat16"], each_state=False)
    made["int8, oneDNN, a scale for each state"] = _replaced(made["bfloat16"], each_state=True)
    if find_spec("torchao") is not None:
        made["int8, torchao"] = _by_torchao(made["bfloat16"])
    for model in made.values():
        model.prepare_for_inference()
    return {name: partial(model.generate, ids, max_length=canvas) for name, model in made.items()}


def _share(written: Tensor, exact: Tensor) -> float:
    length = min(written.shape[1], exact.shape[1])
    same = (written[:, :length] == exact[:, :length]).sum()
    return float(same) / max(written.shape[1], exact.shape[1])


def _replaced(model: ElmerForConditionalGeneration, each_state: bool) -> ElmerForConditionalGeneration:
    """Return a copy whose linear layers multiply in int8."""
    copied = copy.deepcopy(model)
    for module in list(copied.modules()):
        for name, layer in list(module.named_children()):
            if isinstance(layer, Linear):
                setattr(module, name, Int8Linear(layer, each_state))
    return copied


def _by_torchao(model: ElmerForConditionalGeneration) -> ElmerForConditionalGeneration:
    """Return a copy whose linear layers are torchao's dynamically quantized ones."""
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

    copied = copy.deepcopy(model)
    chosen = {layer for layer in copied.modules() if isinstance(layer, Linear)}
    for layer in chosen:
        layer.__class__ = nn.Linear  # whose weights are not packed
    quantize_(copied, Int8DynamicActivationInt8WeightConfig(), lambda layer, _: layer in chosen)
    return copied


class Int8Linear(nn.Module):
    """A layer's product in int8, by oneDNN: its words' scales are fixed, its states' are found at every call.

    Args:
        layer: whose weight and bias it takes.
        each_state: whether each state has its own scale, or all of them the largest.
    """

    def __init__(self, layer: Linear, each_state: bool) -> None:
        super().__init__()
        self.weight, self.each_state = layer.weight, each_state
        weight = layer.weight.detach().float()
        self.scales = (weight.abs().amax(-1) / LARGEST_CODE).clamp(min=SMALLEST)
        codes = (weight / self.scales[:, None]).round().to(torch.int8)
        self.packed = torch.ops.onednn.qlinear_prepack(codes, [64, weight.shape[1]])
        self.zero_points = torch.zeros(len(weight), dtype=torch.long)
        self.bias = None if layer.bias is None else layer.bias.detach().float()

    def forward(self, states: Tensor) -> Tensor:
        """Map `[..., in_features]` to `[..., out_features]`."""
        scale = self._largest(states) / LARGEST_CODE
        codes = (states / scale).round_().to(torch.int8)
        if not self.each_state:
            return self._product(codes, float(scale), self.bias, states.dtype)
        product = self._product(codes, 1.0, None, torch.float32) * scale
        return (product if self.bias is None else product + self.bias).to(states.dtype)

    def _largest(self, states: Tensor) -> Tensor:
        largest = states.abs().amax(-1, keepdim=True) if self.each_state else torch.stack(states.aminmax()).abs().max()
        return largest.float().clamp(min=SMALLEST)

    def _product(self, codes: Tensor, scale: float, bias: Tensor | None, precision: torch.dtype) -> Tensor:
        weight: Sequence[Tensor] = (self.packed, self.scales, self.zero_points)
        return torch.ops.onednn.qlinear_pointwise(codes, scale, 0, *weight, bias, 1.0, 0, precision, "none", [], "")


if __name__ == "__main__":
    raise SystemExit(start("int8_layers", main, OPTIONS))
