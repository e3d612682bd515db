"""The ways in which tokens leave the decoder (arXiv 2210.13304, sections 3.1 and 3.2), in training and in writing.

Each runs the decoder's layers but the last over a canvas's embeddings and returns a `Passage`. What differs is who
reads, in training what learns as well (`LossHead`, `AlignedLoss`), in writing an off-ramp; and how the last layer
follows, whole (`Passage.finish`) or only as far as the texts go (`inference`). Layers are counted from 0.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .criteria import Criterion, Step
from .layers import CanvasLayer


class Passage(NamedTuple):
    """A canvas that has passed all layers but the last.

    Attributes:
        states: `[batch, canvas, width]`.
        exit_layers: the layer where each position leaves, `[batch, canvas]`.
        inside: which positions the last layer still moves on, boolean, `[batch, canvas]`; None: all.
        predicted: what each layer before the last predicted, under soft exit, `[batch, canvas]` each.
    """

    states: Tensor
    exit_layers: Tensor
    inside: Tensor | None = None
    predicted: Sequence[Tensor] = ()

    def finish(self, last: CanvasLayer) -> Tensor:
        """Return the states where their positions leave, `[batch, canvas, width]`."""
        if self.inside is None:
            return last(self.states)
        if not self.inside.any():
            return self.states
        inner = Inside(self.inside)
        moved = last.over(self.states, inner.most)(inner.take(self.states))
        return inner.put(self.states, moved)

    def settled_layers(self, tokens: Tensor) -> Tensor:
        """Return the layer since which a position has written the same token, `[batch, m]`.

        Args:
            tokens: what is written where they leave, `[batch, m]` of the canvas's first positions.
        """
        layers = self.exit_layers[:, : tokens.shape[1]]
        still = torch.ones_like(tokens, dtype=torch.bool)
        for index in range(len(self.predicted) - 1, -1, -1):
            still = still & (self.predicted[index][:, : tokens.shape[1]] == tokens)
            layers = torch.where(still, index, layers)
        return layers


class Inside:
    """Those of some positions that are inside the decoder, `[batch, n]`, each row's moved to its left end."""

    def __init__(self, inside: Tensor) -> None:
        counts = inside.sum(-1)
        self.inside, self.most = inside, int(counts.max())
        self.places = (~inside).long().argsort(dim=-1, stable=True)[:, : self.most]
        self.real = torch.arange(self.most, device=inside.device) < counts[:, None]

    def take(self, values: Tensor) -> Tensor:
        """Return theirs of `[batch, n, width]` values, `[batch, most, width]`."""
        return values.gather(1, self.places[..., None].expand(-1, -1, values.shape[-1]))

    def put(self, values: Tensor, moved: Tensor) -> Tensor:
        """Return `[batch, n, …]` values in which theirs are those of `[batch, most, …]`."""
        values = values.clone()
        values[self.inside] = moved[self.real]
        return values


def leave_last(layers: Sequence[CanvasLayer], hidden: Tensor) -> Passage:
    """Plain NAR: all tokens leave at the last layer."""
    for layer in layers[:-1]:
        hidden = layer(hidden)
    return Passage(hidden, _last_layer(layers, hidden))


def leave_soft(
    layers: Sequence[CanvasLayer],
    hidden: Tensor,
    read: Callable[[Tensor], Tensor],
    embed_prediction: Callable[[Tensor], Tensor],
    concat_head: Callable[[Tensor], Tensor],
) -> Passage:
    """Soft exit: every layer predicts all tokens and hands its prediction to the next layer.

    Between layers the states become `concat_head([h ; embed_prediction(read(h))])`.
    """
    predicted = []
    for layer in layers[:-1]:
        hidden = layer(hidden)
        predicted.append(read(hidden))
        hidden = concat_head(torch.cat([hidden, embed_prediction(predicted[-1])], dim=-1))
    return Passage(hidden, _last_layer(layers, hidden), predicted=predicted)


def leave_at(layers: Sequence[Callable[[Tensor], Tensor]], hidden: Tensor, exit_layers: Tensor) -> Tensor:
    """Layer permutation language modeling: token t leaves at the given layer `exit_layers[:, t]`.

    Above its exit a token's state is copied up unchanged and without gradient, so that the tokens still inside read
    it but cannot change it.

    Returns:
        the states where the tokens left, `[batch, canvas, width]`.
    """
    left = torch.zeros_like(hidden)
    for index, layer in enumerate(layers):
        hidden = layer(hidden)
        left = torch.where((exit_layers == index)[..., None], hidden, left)
        hidden = torch.where((exit_layers <= index)[..., None], left.detach(), hidden)
    return left


def leave_when_sure(
    layers: Sequence[CanvasLayer],
    hidden: Tensor,
    is_sure: Criterion,
    suffices: Callable[[Tensor, Tensor], bool] | None = None,
) -> Passage:
    """Hard exit: a token leaves at the first layer that is sure of it; the last one keeps those still inside.

    Its state is copied up. Layers above the last one that anybody reaches are not run.

    Args:
        is_sure: tells which of the positions inside leave behind a layer.
        suffices: tells from the states and which positions are inside that nobody will read these; not asked just below
            the last layer, which may be left out anyway.
    """
    last = len(layers) - 1
    exit_layers = _last_layer(layers, hidden)
    inside = torch.ones_like(exit_layers, dtype=torch.bool)
    for index, layer in enumerate(layers[:-1]):
        inner = Inside(inside)
        before = inner.take(hidden)
        after = layer.over(hidden, inner.most)(before)
        hidden = inner.put(hidden, after)
        leaving = inner.put(torch.zeros_like(inside), is_sure(Step(index, before, after, inner.real)))
        exit_layers = exit_layers.masked_fill(leaving, index)
        inside = inside & ~leaving
        if not inside.any():
            break
        if index < last - 1 and suffices is not None and suffices(hidden, inside):
            inside = torch.zeros_like(inside)
            break
    return Passage(hidden, exit_layers, inside)


def _last_layer(layers: Sequence[CanvasLayer], hidden: Tensor) -> Tensor:
    return torch.full(hidden.shape[:2], len(layers) - 1, device=hidden.device)
