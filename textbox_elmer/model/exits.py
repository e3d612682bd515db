"""The ways in which tokens leave the decoder (arXiv 2210.13304, sections 3.1 and 3.2).

Each function runs the decoder's layers over a canvas's embeddings and returns every token's state where it left. A
layer is a function from states to states, `[batch, target_length, width]`; it already knows the encoder's output.
Layers are counted from 0. `inference` has the same exits without what no text shows.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Layer = Callable[[Tensor], Tensor]


def leave_last(layers: Sequence[Layer], hidden: Tensor) -> Tensor:
    """Plain NAR: all tokens leave at the last layer."""
    for layer in layers:
        hidden = layer(hidden)
    return hidden


def leave_soft(
    layers: Sequence[Layer],
    hidden: Tensor,
    predict: Callable[[Tensor], Tensor],
    embed_prediction: Callable[[Tensor], Tensor],
    concat_head: Layer,
) -> Tensor:
    """Soft exit: every layer predicts all tokens and hands its prediction to the next layer.

    Between layers the states become `concat_head([h ; embed_prediction(predict(h))])`; `predict` takes the argmax
    without `final_logits_bias`, as in the original implementation.
    """
    for layer in layers[:-1]:
        hidden = layer(hidden)
        hidden = concat_head(torch.cat([hidden, embed_prediction(predict(hidden))], dim=-1))
    return layers[-1](hidden)


def leave_at(layers: Sequence[Layer], hidden: Tensor, exit_layers: Tensor) -> Tensor:
    """Layer permutation language modeling: token t leaves at the given layer `exit_layers[:, t]`.

    Above its exit a token's state is copied up unchanged and without gradient, so that the tokens still inside read
    it but cannot change it.
    """
    left = torch.zeros_like(hidden)
    for index, layer in enumerate(layers):
        hidden = layer(hidden)
        left = torch.where((exit_layers == index)[..., None], hidden, left)
        hidden = torch.where((exit_layers <= index)[..., None], left.detach(), hidden)
    return left


def leave_when_confident(
    layers: Sequence[Layer], hidden: Tensor, uncertainty: Callable[[Tensor], Tensor], exit_threshold: float
) -> tuple[Tensor, Tensor]:
    """Hard exit: a token leaves at the first layer whose prediction of it has an entropy below the threshold (nats).

    Its state is copied up, and it is not predicted again; the last layer keeps the tokens still inside. `uncertainty`
    returns the entropies of states' predictions, `[batch, target_length]`.

    Returns:
        the states and the layer where each token left, `[batch, target_length]`.
    """
    last = len(layers) - 1
    exit_layers = torch.full(hidden.shape[:2], last, device=hidden.device)
    inside = torch.ones_like(exit_layers, dtype=torch.bool)
    for index, layer in enumerate(layers):
        hidden = torch.where(inside[..., None], layer(hidden), hidden)
        if index < last:
            leaving = inside & (uncertainty(hidden) < exit_threshold)
            exit_layers[leaving] = index
            inside &= ~leaving
    return hidden, exit_layers


def entropy(logits: Tensor) -> Tensor:
    """Return the entropy in nats of the distributions given by `[..., vocabulary]` logits, `[...]`."""
    log_probabilities = logits.float().log_softmax(-1)
    return -(log_probabilities.exp() * log_probabilities).sum(-1)
