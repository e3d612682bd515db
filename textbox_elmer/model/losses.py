"""Cross-entropy per exit."""

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


def losses_by_exit_layer(losses: Tensor, exit_layers: Tensor, layers: int) -> Tensor:
    """Return, layer by layer, the mean loss `[tokens]` of what left there, `[layers]`; NaN where nothing did."""
    totals = torch.zeros(layers, dtype=losses.dtype, device=losses.device).index_add_(0, exit_layers, losses)
    return totals / torch.bincount(exit_layers, minlength=layers)
