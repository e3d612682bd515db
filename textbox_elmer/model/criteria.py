"""When hard exit lets a token go: three ways to tell that no further layer would change what it writes.

Only the first reads the vocabulary to tell. The others decide first and predict afterwards, where a token left (CALM,
Schuster et al. 2022, arXiv 2207.07061).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .configuration import ElmerConfig

Norm = Callable[[Tensor], Tensor]


class Step(NamedTuple):
    """What a layer made of the positions that were inside, each row's at its left end.

    Attributes:
        layer: its number, from 0.
        before, after: their states, `[batch, m, width]`.
        real: where there is one, boolean, `[batch, m]`; elsewhere a state means nothing.
    """

    layer: int
    before: Tensor
    after: Tensor
    real: Tensor


Criterion = Callable[[Step], Tensor]


class ExitClassifier(nn.Module):
    """One vector and bias a layer but the last, which tell how likely the layer predicts what the last one will.

    They begin with zeros: a classifier that has learnt nothing says 0.5 of everything.
    """

    def __init__(self, config: ElmerConfig) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(config.decoder_layers - 1, config.d_model))
        self.bias = nn.Parameter(torch.zeros(config.decoder_layers - 1))

    def forward(self, states: Tensor, layer: int) -> Tensor:
        """Return the log-odds for a layer's normalised states `[..., width]`, `[...]`."""
        return states @ self.weight[layer] + self.bias[layer]


class ExitLessons:
    """What a classifier learns of a batch in soft training, where all layers predict anyway; nothing else learns by it.

    Call `note` for each exit before the last, then `loss` once.
    """

    def __init__(self, classifier: ExitClassifier) -> None:
        self.classifier = classifier
        self.exits: list[tuple[Tensor, Tensor]] = []

    def note(self, states: Tensor, words: Tensor) -> None:
        """Take an exit's normalised states `[batch, canvas, width]` and its words `[batch, canvas]`."""
        self.exits.append((states.detach(), words))

    def loss(self, last: Tensor, counted: Tensor) -> Tensor:
        """Return the sum over layers of the mean cross-entropy in nats; 0 without positions.

        Args:
            last: the last layer's words at these positions, or at all, `[n]`.
            counted: at which positions it learns, boolean, `[batch, canvas]`.
        """
        last = last if len(last) == counted.sum() else last[counted.flatten()]
        total = self.classifier.bias.sum() * 0.0
        for layer, (states, words) in enumerate(self.exits):
            odds, same = self.classifier(states[counted], layer), words[counted] == last
            losses = F.binary_cross_entropy_with_logits(odds.float(), same.float(), reduction="sum")
            total = total + losses / counted.sum().clamp(min=1)
        return total


def similarity(step: Step, norm: Norm) -> Tensor:
    """Return the cosine between the states before and behind a layer (for the first: the canvas's), `[batch, m]`."""
    return F.cosine_similarity(norm(step.before).float(), norm(step.after).float(), dim=-1)


def likelihood(step: Step, norm: Norm, classifier: ExitClassifier) -> Tensor:
    """Return how likely the classifier takes each position to be decided, `[batch, m]`."""
    return classifier(norm(step.after), step.layer).float().sigmoid()
