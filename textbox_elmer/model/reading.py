"""What a whole canvas would write, read at inference for graphs, blanks and copying, where every position counts.

`inference` reads plain parallel decoding, which stops where the texts end.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from .off_ramp import OffRamp, Reading
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

    def are_sure(self, hidden: Tensor, real: Tensor, entropy: float) -> Tensor:
        """Return which of the states `[batch, m, width]` that are `real` have a lower entropy (nats), `[batch, m]`."""
        if self.pointer is not None:
            return self.read(hidden, with_entropies=True, real=real).entropies < entropy
        sure = torch.zeros_like(real)
        sure[real] = self.off_ramp.are_sure(hidden[real], entropy)
        return sure

    def read(self, hidden: Tensor, with_entropies: bool = False, real: Tensor | None = None) -> Words:
        """Return the likeliest word of each state `[batch, m, width]` and how likely it is.

        Args:
            with_entropies: tell entropies, too.
            real: for which of them, boolean, `[batch, m]`; what is said of the others means nothing. None: all.
        """
        shape = hidden.shape[:2]
        reading = self.off_ramp.read(hidden.flatten(0, 1) if real is None else hidden[real], with_entropies)
        if real is None:
            reading = Reading(*(part.unflatten(0, shape) for part in reading))
        else:
            places = torch.zeros_like(real, dtype=torch.long)
            reading = Reading(*(places.to(part.dtype).masked_scatter(real, part) for part in reading))
        tokens, entropies = reading.tokens, reading.entropies
        log_probs = reading.probabilities.log()
        if self.pointer is None:
            return Words(tokens, log_probs, entropies, torch.zeros_like(tokens, dtype=torch.bool))
        total = reading.log_totals
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
