"""Cross-entropy per exit."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from .canvas import IGNORED


def token_loss(logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Return the mean cross-entropy in nats of `[..., vocabulary]` logits over the labels that are not -100.

    Without such labels it is 0, as is its gradient: a process of a distributed run may have no token to learn from.
    """
    logits, labels = logits.flatten(0, -2), labels.flatten()
    total = F.cross_entropy(logits, labels, ignore_index=IGNORED, label_smoothing=label_smoothing, reduction="sum")
    return total / token_count(labels).clamp(min=1)


def token_count(labels: Tensor) -> Tensor:
    """Return how many labels are not -100, as a tensor without dimensions."""
    return (labels != IGNORED).sum()


def losses_of_all_exits(exits: Sequence[Tensor], labels: Tensor, label_smoothing: float) -> Tensor:
    """Return the loss of every exit over all tokens, `[exits]` (soft exit, arXiv 2210.13304 section 3.2)."""
    return torch.stack([token_loss(logits, labels, label_smoothing) for logits in exits])


def losses_by_exit_layer(logits: Tensor, labels: Tensor, exit_layers: Tensor, layers: int) -> Tensor:
    """Return, layer by layer, the mean loss of the tokens that left there, `[layers]`; NaN where none did."""
    losses = F.cross_entropy(logits.detach().flatten(0, -2), labels.flatten(), ignore_index=IGNORED, reduction="none")
    counted = labels.flatten() != IGNORED
    layer_of_token = exit_layers.flatten()[counted]
    totals = torch.zeros(layers, dtype=losses.dtype, device=losses.device)
    totals.index_add_(0, layer_of_token, losses[counted])
    return totals / torch.bincount(layer_of_token, minlength=layers)
