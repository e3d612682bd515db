"""What a whole canvas would write: the exits at inference for graphs, blanks and copying, where every position counts.

`inference` has the exits of plain parallel decoding, which stop where the texts end.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .inference import advance, settled
from .layers import CanvasLayer
from .off_ramp import OffRamp
from .pointer import Mixture, SourcePointer


class Words(NamedTuple):
    """The likeliest words at some positions, `[batch, m]` each.

    Attributes:
        tokens: their ids.
        log_probs: their log-probabilities.
        entropies: of the whole distributions, in nats; NaN where they were not asked for.
        copied: whether the greater part of the probability comes from the source.
    """

    tokens: Tensor
    log_probs: Tensor
    entropies: Tensor
    copied: Tensor


class CanvasHead:
    """Head and pointer, read at inference.

    Args:
        off_ramp: the head.
        pointer: over the batch's sources, if the model copies.
    """

    def __init__(self, off_ramp: OffRamp, pointer: SourcePointer | None) -> None:
        self.off_ramp, self.pointer = off_ramp, pointer

    def best(self, hidden: Tensor) -> Tensor:
        """Return the likeliest word of each state `[batch, m, width]`, `[batch, m]`."""
        if self.pointer is None:
            return self.off_ramp.best(hidden)
        return self.read(hidden).tokens

    def read(self, hidden: Tensor, with_entropies: bool = False) -> Words:
        """Return the likeliest word of each state `[batch, m, width]` and how likely it is."""
        shape = hidden.shape[:2]
        reading = self.off_ramp.read(hidden.flatten(0, 1), with_entropies)
        tokens, log_probs, entropies = (part.unflatten(0, shape) for part in reading[:3])
        log_probs = log_probs.log()
        if self.pointer is None:
            return Words(tokens, log_probs, entropies, torch.zeros_like(tokens, dtype=torch.bool))
        total = reading.log_totals.unflatten(0, shape)
        states = self.off_ramp.norm(hidden)
        mixture = Mixture(self.pointer, states, self.off_ramp.weight, self.off_ramp.bias, total)
        best = mixture.best(tokens, log_probs)
        if with_entropies:
            entropies = mixture.entropies(entropies)
        return Words(best.tokens, best.log_probs, entropies, best.copied)


class Canvas(NamedTuple):
    """A canvas whose every position has left the decoder.

    Attributes:
        words: what each would write.
        states: where each left, `[batch, canvas, width]`.
        exit_layers: the layer (from 0) where it did, `[batch, canvas]`.
        settled_layers: the layer since which its word has not changed, `[batch, canvas]`.
    """

    words: Words
    states: Tensor
    exit_layers: Tensor
    settled_layers: Tensor


def read_last(layers: Sequence[CanvasLayer], hidden: Tensor, head: CanvasHead) -> Canvas:
    """All leave at the last layer."""
    for layer in layers:
        hidden = layer(hidden)
    words = head.read(hidden)
    last = torch.full_like(words.tokens, len(layers) - 1)
    return Canvas(words, hidden, last, last)


def read_soft(
    layers: Sequence[CanvasLayer],
    hidden: Tensor,
    head: CanvasHead,
    embed: Callable[[Tensor], Tensor],
    concat_head: Callable[[Tensor], Tensor],
) -> Canvas:
    """Soft exit: every layer predicts all positions and hands its prediction to the next layer."""
    predicted = []
    for layer in layers[:-1]:
        hidden = layer(hidden)
        predicted.append(head.best(hidden))
        hidden = concat_head(torch.cat([hidden, embed(predicted[-1])], dim=-1))
    hidden = layers[-1](hidden)
    words = head.read(hidden)
    last = torch.full_like(words.tokens, len(layers) - 1)
    return Canvas(words, hidden, last, settled(predicted, words.tokens))


def read_when_confident(
    layers: Sequence[CanvasLayer], hidden: Tensor, head: CanvasHead, exit_threshold: float
) -> Canvas:
    """Hard exit: a position leaves at the first layer where its word's distribution has an entropy below the threshold.

    Its state is copied up; the last layer keeps those still inside.
    """
    last = len(layers) - 1
    inside = torch.ones(hidden.shape[:2], dtype=torch.bool, device=hidden.device)
    exit_layers = torch.full(inside.shape, last, device=hidden.device)
    words = None
    for index, layer in enumerate(layers):
        hidden = advance(layer, hidden, inside)
        # Those inside, moved to each row's left end, are read alone.
        counts, most = inside.sum(-1), int(inside.sum(-1).max())
        places = (~inside).long().argsort(dim=-1, stable=True)[:, :most]
        inner = hidden.gather(1, places[..., None].expand(-1, -1, hidden.shape[-1]))
        found = head.read(inner, with_entropies=True)
        real = torch.arange(most, device=hidden.device) < counts[:, None]
        whole = [part.new_zeros(inside.shape) for part in found] if words is None else words
        for old, new in zip(whole, found, strict=True):
            old[inside] = new[real]
        words = Words(*whole)
        leaving = inside & (words.entropies < exit_threshold) if index < last else inside
        exit_layers[leaving] = index
        inside = inside & ~leaving
        if not inside.any():
            break
    return Canvas(words, hidden, exit_layers, exit_layers)
