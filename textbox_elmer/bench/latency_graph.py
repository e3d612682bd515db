"""The rows of `bench latency` that write along paths of a graph."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from textbox_elmer.bench.planted_weights import plant_path
from textbox_elmer.model import ElmerConfig, ElmerForConditionalGeneration

# Vertices for each token that is written.
CANVAS_SCALE = 4


class GraphRows:
    """An ELMER with a graph, source input and copying whose every path has `output` tokens.

    Args:
        sizes: fields of its configuration.
        output: tokens of a text, eos included.
        beams: of the beam search.
        device: where it writes.
    """

    def __init__(self, sizes: dict[str, Any], output: int, beams: int, device: torch.device) -> None:
        self.output, self.beams = output, beams
        graph = ElmerConfig(
            **sizes, alignment="dag", canvas_scale=CANVAS_SCALE, canvas_input="source", copy_source=True
        )
        torch.manual_seed(0)
        self.elmer = ElmerForConditionalGeneration(graph).eval()
        plant_path(self.elmer, output, CANVAS_SCALE * output)
        self.elmer.to(device)

    def calls(self, ids: Tensor, precision: str) -> dict[str, Callable[[], Tensor]]:
        """Return what each row runs for sources `[batch, source_length]`, by name."""
        write = self._write(ids, precision, compiled=False)
        return {
            "ELMER dag greedy": partial(write, decoding="greedy"),
            "ELMER dag lookahead": partial(write, decoding="lookahead"),
            "ELMER dag lookahead, soft": partial(write, decoding="lookahead", exit_mode="soft"),
            "ELMER dag viterbi": partial(write, decoding="viterbi"),
            f"ELMER dag {self.beams} beams": partial(write, decoding="beam", num_beams=self.beams),
        }

    def compiled_lookahead(self, ids: Tensor, precision: str) -> Callable[[], Tensor]:
        """Return what lookahead runs for sources `[batch, source_length]` where torch.compile made code of it."""
        return partial(self._write(ids, precision, compiled=True), decoding="lookahead")

    def _write(self, ids: Tensor, precision: str, compiled: bool) -> Callable[..., Tensor]:
        elmer = copy.deepcopy(self.elmer).to(getattr(torch, precision))
        elmer.prepare_for_inference(compiled)
        # Words of random weights may repeat, which is no reason to write fewer of them.
        return partial(elmer.generate, ids, max_length=self.output, exit_mode="last", collapse_repeats=False)
