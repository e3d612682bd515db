"""From an ELMER to ONNX files: the graph of one canvas, and its int8 version."""

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from textbox_elmer.model import ElmerForConditionalGeneration
from textbox_elmer.model.canvas import lay_canvas

# The first with GELU as one operator.
OPSET = 20
# Any sizes above 1, which the exporter would take for constants.
EXAMPLE_BATCH, EXAMPLE_LENGTH = 2, 3
NOISY_LOGGERS = ("torch.onnx", "onnxscript", "onnx_ir")


class CanvasGraph(nn.Module):
    """What a graph computes: sources to the tokens of a canvas whose length is fixed."""

    def __init__(self, model: ElmerForConditionalGeneration, canvas: int) -> None:
        super().__init__()
        self.model = model
        config = model.config
        laid = lay_canvas(1, canvas, config.bos_token_id, config.mask_token_id, model.device)
        self.register_buffer("canvas", laid, persistent=False)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the last exit's tokens `[batch, canvas]` for sources and their mask `[batch, source_length]`."""
        canvas = self.canvas.expand(input_ids.shape[0], -1)
        output = self.model(input_ids=input_ids, attention_mask=attention_mask, decoder_input_ids=canvas)
        return output.logits.argmax(-1)


def write_graph(model: ElmerForConditionalGeneration, canvas: int, path: Path) -> None:
    """Write the graph of a canvas of so many positions; batch and source length stay free.

    Inputs `input_ids` and `attention_mask`, int64 `[batch, source_length]`; output `tokens`, int64 `[batch, canvas]`.
    The model is in evaluation mode, and its exit mode is soft or last: in hard mode the work depends on the data.
    """
    ids = torch.full((EXAMPLE_BATCH, EXAMPLE_LENGTH), model.config.mask_token_id, device=model.device)
    longest = model.config.max_position_embeddings
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("source_length", max=longest)}
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            CanvasGraph(model, canvas),
            (ids, torch.ones_like(ids)),
            dynamo=True,
            input_names=["input_ids", "attention_mask"],
            output_names=["tokens"],
            dynamic_shapes=(axes, axes),
            opset_version=OPSET,
            verbose=False,
        )
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
