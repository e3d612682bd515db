"""What off-ramps say of a batch's targets in training, at every position of the canvas."""

from typing import NamedTuple

import torch
from torch import Tensor

from .normalizer import normalize
from .pointer import Mixture, SourcePointer, log_copied


class Emissions(NamedTuple):
    """One exit's.

    Attributes:
        targets: log-probability of target token t at position v, differentiable, `[batch, target_length, canvas]`.
        blanks: log-probability of the blank, if there is one, `[batch, canvas]`.
        tokens: the likeliest word, `[batch, canvas]`.
    """

    targets: Tensor
    blanks: Tensor | None
    tokens: Tensor


class EmissionHead:
    """The head, and the pointer where there is one, read for a batch's targets.

    Args:
        weight: the head's, `[vocabulary, width]`.
        bias: `[vocabulary]`, without gradient, -inf for words that are out of the question.
        targets: `[batch, target_length]`, any id at padding.
        pointer: over the batch's sources, if the model copies.
        blank: the id of the blank, if there is one.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor, targets: Tensor, pointer: SourcePointer | None, blank: int | None
    ) -> None:
        self.weight, self.bias, self.targets, self.pointer, self.blank = weight, bias, targets, pointer, blank
        self.exits: list[Emissions] = []

    def exit(self, states: Tensor) -> Tensor:
        """Count an exit of `[batch, canvas, width]` states and return its likeliest words, `[batch, canvas]`."""
        total = normalize(states, self.weight, self.bias)
        log_probs = self._logits(states, self.targets) - total.log_total[:, None]
        blanks, tokens = None, total.tokens
        if self.blank is not None:
            blanks = (states @ self.weight[self.blank].to(states.dtype)).float() + self.bias[self.blank]
            blanks = blanks - total.log_total
        if self.pointer is not None:
            log_write, log_copy, attention = self.pointer(states)
            copied = log_copied(attention, self.pointer.matches(self.targets))
            log_probs = torch.logaddexp(log_write[:, None] + log_probs, log_copy[:, None] + copied.transpose(1, 2))
            blanks = None if blanks is None else log_write + blanks
            with torch.no_grad():
                mixture = Mixture(self.pointer, states, self.weight, self.bias, total.log_total)
                tokens = mixture.best(total.tokens, total.best - total.log_total).tokens
        self.exits.append(Emissions(log_probs, blanks, tokens))
        return tokens

    def _logits(self, states: Tensor, ids: Tensor) -> Tensor:
        """Return the logits of words `[batch, n]` at every position, `[batch, n, canvas]`."""
        return (self.weight[ids].to(states.dtype) @ states.transpose(1, 2)).float() + self.bias[ids][..., None]
