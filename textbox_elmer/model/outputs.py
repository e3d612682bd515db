"""What the model returns, by name."""

from dataclasses import dataclass

from torch import Tensor
from transformers.utils import ModelOutput


@dataclass
class ElmerOutput(ModelOutput):
    """What `ElmerForConditionalGeneration.forward` returns.

    Attributes:
        loss: the training loss, given labels.
        logits: each position's prediction where it left, `[batch, canvas, vocabulary]`, if asked for; log-probabilities
            of head and source together from a model that copies.
        exit_losses: mean loss per token and exit, given labels: of all tokens for soft exit, `[decoder_layers]`; of the
            tokens that left at each layer otherwise, `[decoder_layers]`, NaN where none did. One entry for `"last"`.
        exit_layers: the layer where each canvas position left, `[batch, canvas]`.
        encoder_last_hidden_state: `[batch, source_length, width]`.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    exit_losses: Tensor | None = None
    exit_layers: Tensor | None = None
    encoder_last_hidden_state: Tensor | None = None


@dataclass
class ElmerGeneration(ModelOutput):
    """What `ElmerForConditionalGeneration.generate` returns on request, each `[batch, longest]`.

    Attributes:
        sequences: the token ids, ending in eos where the model ended the text, then padding.
        exit_layers: the layer (from 0) that each token came from; -1 at padding.
        settled_layers: the layer since which its position has predicted this token, which soft exit tells and the
            others take for the exit layer; -1 at padding.
        vertices: the canvas position that each token came from, under a graph the path through it; -1 at padding.
        copied: whether the token came from the source rather than from the vocabulary; False at padding.
        scores: the probability of each token at its exit; 0 at padding.
    """

    sequences: Tensor | None = None
    exit_layers: Tensor | None = None
    settled_layers: Tensor | None = None
    vertices: Tensor | None = None
    copied: Tensor | None = None
    scores: Tensor | None = None
