"""From an ELMER to ONNX files: the graph of one canvas, and its int8 version."""

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from textbox_elmer.inference.export.texts import output_names
from textbox_elmer.model import ElmerForConditionalGeneration
from textbox_elmer.model.canvas import lay_canvas
from textbox_elmer.model.off_ramp import OffRamp, Reading

# The first with GELU as one operator.
OPSET = 20
# Any sizes above 1, which the exporter would take for constants.
EXAMPLE_BATCH, EXAMPLE_LENGTH = 2, 3
NOISY_LOGGERS = ("torch.onnx", "onnxscript", "onnx_ir")


class CanvasGraph(nn.Module):
    """What a graph computes: sources to what the positions of a canvas for texts of up to `length` tokens write."""

    canvas: Tensor

    def __init__(self, model: ElmerForConditionalGeneration, length: int) -> None:
        super().__init__()
        self.model, self.length = model, length
        config = model.config
        laid = lay_canvas(1, length, config.bos_token_id, config.mask_token_id, model.device)
        self.register_buffer("canvas", laid, persistent=False)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        """Return the last exit's outputs, as `output_names` has them, for sources and their mask."""
        config = self.model.config
        if config.alignment == "position" and not config.copy_source:
            canvas = self.canvas.expand(input_ids.shape[0], -1)
            output = self.model(input_ids=input_ids, attention_mask=attention_mask, decoder_input_ids=canvas)
            return (output.logits.argmax(-1),)
        read, transitions = self.model.read_canvas(input_ids, attention_mask, self.length, StaticOffRamp)
        if transitions is None:
            return (read.words.tokens,)
        return read.words.tokens, read.words.log_probs, transitions


def write_graph(model: ElmerForConditionalGeneration, length: int, path: Path) -> None:
    """Write the graph of a canvas for texts of up to `length` tokens; batch and source length stay free.

    The canvas has `config.canvas_positions(length)` positions. Inputs: `input_ids` and `attention_mask`, int64
    `[batch, source_length]`. Outputs: `tokens`, the likeliest at each position, int64 `[batch, canvas]`; with
    alignment=dag also `log_probs`, theirs, float32 `[batch, canvas]`, and `transitions`, log-probabilities of going
    from row to column, -inf where impossible, float32 `[batch, canvas, canvas]`.

    The model is in evaluation mode, and its exit mode is soft or last: in hard mode the work depends on the data.
    """
    ids = torch.full((EXAMPLE_BATCH, EXAMPLE_LENGTH), model.config.mask_token_id, device=model.device)
    longest = model.config.max_position_embeddings
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("source_length", max=longest)}
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            CanvasGraph(model, length),
            (ids, torch.ones_like(ids)),
            dynamo=True,
            input_names=["input_ids", "attention_mask"],
            output_names=list(output_names(model.config)),
            dynamic_shapes=(axes, axes),
            opset_version=OPSET,
            verbose=False,
        )
        assert program is not None  # which dynamo=True makes
        program.save(path)


def write_int8(graph: Path, path: Path) -> None:
    """Write a graph's version with int8 weights and products; activations are quantized while it runs."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    folded = path.with_suffix(".folded")
    try:
        with quiet():
            # Folds the transposed vocabulary into a constant: only products with constants are quantized.
            quant_pre_process(graph, folded, skip_symbolic_shape=True)
            quantize_dynamic(folded, path, weight_type=QuantType.QInt8, per_channel=True)
    finally:
        folded.unlink(missing_ok=True)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the exporters' progress and advice, which is for their developers, off the terminal."""
    loggers = [logging.getLogger(name) for name in ("", *NOISY_LOGGERS)]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


class StaticOffRamp(OffRamp):
    """An off-ramp that multiplies all states with all words at once.

    Screens and passes over parts of the vocabulary depend on the states' number and values, unknown to a static graph.
    """

    def best(self, states: Tensor, with_bias: bool = True) -> Tensor:
        """See `OffRamp`."""
        return F.linear(self.norm(states), self.weight, self.bias if with_bias else None).argmax(-1)

    def read(self, states: Tensor, with_entropies: bool = True) -> Reading:
        """See `OffRamp`."""
        logits = F.linear(self.norm(states), self.weight, self.bias)
        best, tokens = logits.max(-1)
        weights = (logits - best[:, None]).exp()
        total = weights.sum(-1)
        log_total = total.log() + best
        entropies = torch.full_like(total, torch.nan)
        if with_entropies:
            entropies = log_total - torch.linalg.vecdot(weights, logits) / total
        return Reading(tokens, 1 / total, entropies, log_total)
