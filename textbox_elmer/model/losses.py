"""Cross-entropy per exit."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from .canvas import IGNORED


def token_losses(logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Return each token's cross-entropy in nats under `[..., vocabulary]` logits, `[...]`; 0 where a label is -100."""
    losses = F.cross_entropy(
        logits.flatten(0, -2), labels.flatten(), ignore_index=IGNORED, label_smoothing=label_smoothing, reduction="none"
    )
    return losses.unflatten(0, labels.shape)


def mean_loss(losses: Tensor, labels: Tensor) -> Tensor:
    """Return the mean of `token_losses` over the labels that are not -100.

    Without such labels it is 0, as is its gradient: a process of a distributed run may have no token to learn from.
    """
    return losses.sum() / token_count(labels).clamp(min=1)


def token_count(labels: Tensor) -> Tensor:
    """Return how many labels are not -100, as a tensor without dimensions."""
    return (labels != IGNORED).sum()


def losses_of_all_exits(exits: Sequence[Tensor], labels: Tensor, label_smoothing: float) -> Tensor:
    """Return the loss of every exit over all tokens, `[exits]` (soft exit, arXiv 2210.13304 section 3.2)."""
    return torch.stack([mean_loss(token_losses(logits, labels, label_smoothing), labels) for logits in exits])


def losses_by_exit_layer(losses: Tensor, labels: Tensor, exit_layers: Tensor, layers: int) -> Tensor:
    """Return, layer by layer, the mean of the `token_losses` of what left there, `[layers]`; NaN where nothing did."""
    counted = labels != IGNORED
    layer_of_token = exit_layers[counted]
    totals = torch.zeros(layers, dtype=losses.dtype, device=losses.device)
    totals.index_add_(0, layer_of_token, losses.detach()[counted])
    return totals / torch.bincount(layer_of_token, minlength=layers)
