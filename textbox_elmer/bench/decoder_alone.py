"""Writing without the encoder, to time the decoder alone."""

from collections.abc import Callable

import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutput

from textbox_elmer.model import ElmerForConditionalGeneration


def decoder_alone(
    elmer: ElmerForConditionalGeneration, ids: torch.Tensor, call: Callable[[], torch.Tensor]
) -> Callable[[], torch.Tensor]:
    """Return a call that writes for sources `[batch, source_length]` whose states are remembered from before."""
    encoder = elmer.get_encoder()
    with torch.no_grad():
        states = encoder(ids)
    remembered = Remembered(states)

    def run() -> torch.Tensor:
        elmer.model.encoder = remembered
        try:
            return call()
        finally:
            elmer.model.encoder = encoder

    return run


class Remembered(nn.Module):
    """An encoder that gives the same states for all sources."""

    def __init__(self, states: BaseModelOutput) -> None:
        super().__init__()
        self.states = states

    def forward(self, *_: torch.Tensor) -> BaseModelOutput:
        """Return the states."""
        return self.states
