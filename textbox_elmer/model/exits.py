"""The ways in which tokens leave the decoder (arXiv 2210.13304, sections 3.1 and 3.2).

Each function runs the decoder's layers over a canvas's embeddings and says where every token was predicted. A layer
is a function from states to states, `[batch, target_length, width]`; it already knows the encoder's output. Layers
are counted from 0.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Layer = Callable[[Tensor], Tensor]


@dataclass
class Exits:
    """What left where.

    Attributes:
        logits: the prediction of each token, made where it left, `[batch, target_length, vocabulary]`.
        exit_layers: the layer where each token left, `[batch, target_length]`.
        every: soft exit only: the logits of every exit, first off-ramp first, last layer last.
    """

    logits: Tensor
    exit_layers: Tensor
    every: Sequence[Tensor] = ()


def _everywhere(layer: int, hidden: Tensor) -> Tensor:
    return torch.full(hidden.shape[:2], layer, dtype=torch.long, device=hidden.device)


def leave_last(layers: Sequence[Layer], hidden: Tensor, lm_head: Layer, bias: Tensor) -> Exits:
    """Plain NAR: all tokens leave at the last layer."""
    for layer in layers:
        hidden = layer(hidden)
    return Exits(lm_head(hidden) + bias, _everywhere(len(layers) - 1, hidden))


def leave_soft(
    layers: Sequence[Layer],
    hidden: Tensor,
    lm_head: Layer,
    bias: Tensor,
    embed_prediction: Callable[[Tensor], Tensor],
    concat_head: Layer,
) -> Exits:
    """Soft exit: every layer predicts all tokens and hands its prediction to the next layer.

    Between layers the states become `concat_head([h ; embed_prediction(argmax)])`. The argmax is taken without
    `final_logits_bias`, as in the original implementation; the exits' logits, and so their losses, include it.
    """
    every = []
    for index, layer in enumerate(layers):
        hidden = layer(hidden)
        logits = lm_head(hidden)
        every.append(logits + bias)
        if index < len(layers) - 1:
            hidden = concat_head(torch.cat([hidden, embed_prediction(logits.argmax(-1))], dim=-1))
    return Exits(every[-1], _everywhere(len(layers) - 1, hidden), every)


def leave_at(layers: Sequence[Layer], hidden: Tensor, lm_head: Layer, bias: Tensor, exit_layers: Tensor) -> Exits:
    """Layer permutation language modeling: token t leaves at the given layer `exit_layers[:, t]`.

    Above its exit a token's state is copied up unchanged and without gradient, so that the tokens still inside read
    it but cannot change it.
    """
    left = torch.zeros_like(hidden)
    for index, layer in enumerate(layers):
        hidden = layer(hidden)
        left = torch.where((exit_layers == index)[..., None], hidden, left)
        hidden = torch.where((exit_layers <= index)[..., None], left.detach(), hidden)
    return Exits(lm_head(left) + bias, exit_layers)


def leave_when_confident(
    layers: Sequence[Layer], hidden: Tensor, lm_head: Layer, bias: Tensor, exit_threshold: float
) -> Exits:
    """Hard exit: a token leaves at the first layer whose prediction of it has an entropy below the threshold (nats).

    Its state is copied up, and it is not predicted again; the last layer predicts the tokens still inside.
    """
    last = len(layers) - 1
    exit_layers = _everywhere(last, hidden)
    inside = torch.ones_like(exit_layers, dtype=torch.bool)
    left = torch.zeros_like(hidden)
    predictions = []
    for index, layer in enumerate(layers):
        hidden = torch.where(inside[..., None], layer(hidden), left)
        logits = lm_head(hidden[inside]) + bias
        leaving = inside.clone()
        if index < last:
            sure = entropy(logits) < exit_threshold
            logits = logits[sure]
            leaving[inside] = sure
        predictions.append((leaving, logits))
        exit_layers[leaving] = index
        left = torch.where(leaving[..., None], hidden, left)
        inside = inside & ~leaving
    all_logits = torch.empty(*exit_layers.shape, bias.shape[-1], dtype=logits.dtype, device=hidden.device)
    for leaving, logits in predictions:
        all_logits[leaving] = logits
    return Exits(all_logits, exit_layers)


def entropy(logits: Tensor) -> Tensor:
    """Return the entropy in nats of the distributions given by `[..., vocabulary]` logits, `[...]`."""
    log_probabilities = logits.float().log_softmax(-1)
    return -(log_probabilities.exp() * log_probabilities).sum(-1)
