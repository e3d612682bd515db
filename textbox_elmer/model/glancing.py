"""Glancing (Qian et al. 2021, arXiv 2008.07905): in training, the decoder is shown some of the tokens it got wrong."""

from typing import NamedTuple

import torch
from torch import Tensor


def glancing_ratio(progress: float, start: float | None, end: float | None) -> float:
    """Return the share of its wrong tokens that a text shows, at a `progress` from 0 to 1 through the training.

    It changes evenly from `start` (None: 0, nothing is shown) to `end` (None: a fifth of the start).
    """
    start = start or 0.0
    end = start / 5 if end is None else end
    return start + (end - start) * min(progress, 1.0)


class Glance(NamedTuple):
    """What the canvas shows of a batch's texts.

    Attributes:
        revealed: at which positions, boolean, `[batch, canvas]`.
        places: which target token each of them shows, `[batch, canvas]`; -1 elsewhere.
    """

    revealed: Tensor
    places: Tensor


def glance(places: Tensor, tokens: Tensor, targets: Tensor, ratio: float) -> Glance:
    """Choose what is shown: of each text, `ratio` times as many tokens, drawn evenly, as the model gets wrong.

    Args:
        places: which target token each position should write, -1 for none, `[batch, canvas]`.
        tokens: what the model would write there, `[batch, canvas]`.
        targets: `[batch, n]`.
    """
    aligned = places >= 0
    wrong = (aligned & (tokens != targets.gather(1, places.clamp(min=0)))).sum(-1)
    count = (ratio * wrong).round()
    ranks = torch.rand(places.shape, device=places.device).masked_fill(~aligned, 2.0).argsort(-1).argsort(-1)
    revealed = aligned & (ranks < count[:, None])
    return Glance(revealed, places.where(revealed, -1))


def force(log_probs: Tensor, shown: Glance) -> Tensor:
    """Let revealed positions write what they show, surely and without gradient, `[batch, n, canvas]` log-probabilities.

    Otherwise a text would be likelier where it was shown than where it was not.
    """
    steps = torch.arange(log_probs.shape[1], device=log_probs.device)[:, None]
    sure = torch.where(shown.places[:, None] == steps, 0.0, -torch.inf).to(log_probs.dtype)
    return torch.where(shown.revealed[:, None], sure, log_probs)
