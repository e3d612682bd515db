"""The last layer of one token a position at inference, only as far as the texts go.

The texts are those of the whole canvas: what is left out are states and predictions beyond the texts' ends, where
nothing reads them any more.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .exits import Inside, Passage
from .finite import check_numbers, may_ask
from .layers import CanvasLayer
from .off_ramp import OffRamp

# Positions that the last layer computes at first: as far as the exit before it saw the texts go and a little more, or,
# without such an exit, that many.
MARGIN = 2
FIRST_POSITIONS = 32


class Predictions(NamedTuple):
    """A canvas's tokens, at least as far as its texts go, `[batch, computed]` each.

    Attributes:
        tokens: the predicted ids.
        exit_layers: the layer (from 0) that each came from.
        settled_layers: the layer since which each token has been predicted.
        probabilities: of the tokens where they left, if they were asked for.
    """

    tokens: Tensor
    exit_layers: Tensor
    settled_layers: Tensor
    probabilities: Tensor | None


def predict(passage: Passage, last: CanvasLayer, off_ramp: OffRamp, eos_token_id: int, scored: bool) -> Predictions:
    """Compute the last layer from the left until every row has ended; what lies beyond would be cut off."""
    length = passage.states.shape[1]
    begin, end = 0, length
    if may_ask(passage.states):
        seen = passage.predicted
        end = min(MARGIN + int(lengths(seen[-1], eos_token_id).max()) if seen else FIRST_POSITIONS, length)
    tokens, probabilities = [], []
    finish = _Finish(passage, last)
    while True:
        states = finish(begin, end)
        check_numbers(off_ramp.norm(states))  # behind the last layer: what is no number before is none here
        if scored:
            reading = off_ramp.read(states.flatten(0, 1), with_entropies=False)
            tokens.append(reading.tokens.unflatten(0, states.shape[:2]))
            probabilities.append(reading.probabilities.unflatten(0, states.shape[:2]))
        else:
            tokens.append(off_ramp.best(states))
        written = torch.cat(tokens, 1)
        if end == length or (written == eos_token_id).any(-1).all():
            break
        begin, end = end, min(2 * end, length)
    return Predictions(
        written,
        passage.exit_layers[:, :end],
        passage.settled_layers(written),
        torch.cat(probabilities, 1) if scored else None,
    )


class _Finish:
    """The last layer, for a stretch of the canvas at a time: keys and values are made once, if anybody is inside."""

    def __init__(self, passage: Passage, last: CanvasLayer) -> None:
        self.passage, self.last = passage, last
        self.attend: Callable[[Tensor], Tensor] | None = None

    def __call__(self, begin: int, end: int) -> Tensor:
        """Return the states where positions from `begin` to `end` leave, `[batch, end - begin, width]`."""
        states = self.passage.states[:, begin:end]
        if self.passage.inside is None:
            return self._moved(states)
        inside = self.passage.inside[:, begin:end]
        if not inside.any():
            return states
        inner = Inside(inside)
        return inner.put(states, self._moved(inner.take(states)))

    def _moved(self, queries: Tensor) -> Tensor:
        if self.attend is None:
            self.attend = self.last.over(self.passage.states, queries.shape[1])
        return self.attend(queries)


class TextEnds:
    """Tells during hard exit that every row has its end, and nobody before it is inside: the rest would be cut off.

    Reading the vocabulary behind every layer would cost what hard exit saves. It is read at the few positions alone
    that like the end of text better than a handful of other words.
    """

    RIVALS = 256

    def __init__(self, off_ramp: OffRamp, eos_token_id: int) -> None:
        rivals = [word for word in range(min(self.RIVALS, len(off_ramp.weight))) if word != eos_token_id]
        words = torch.tensor([eos_token_id, *rivals], device=off_ramp.weight.device)
        self.off_ramp, self.eos_token_id = off_ramp, eos_token_id
        self.weight, self.bias = off_ramp.weight[words], off_ramp.bias[words]
        self.looked_at: Tensor | None = None
        self.ends: Tensor | None = None

    def __call__(self, hidden: Tensor, inside: Tensor) -> bool:
        """Tell it of `[batch, canvas, width]` states, given which positions `[batch, canvas]` are inside."""
        if not may_ask(hidden):
            return False
        if self.looked_at is None or self.ends is None:
            self.looked_at, self.ends = torch.zeros_like(inside), torch.zeros_like(inside)
        # Nobody to the left of it is inside, nor is it itself.
        fresh = (inside.cumsum(-1) == 0) & ~self.looked_at
        self.looked_at |= fresh
        if fresh.any():
            states = hidden[fresh]
            logits = F.linear(self.off_ramp.norm(states), self.weight, self.bias)
            likely = logits[:, 0] >= logits.amax(-1)
            if likely.any():
                likely[likely.clone()] = self.off_ramp.best(states[likely]) == self.eos_token_id
            self.ends[fresh] = likely
        return bool(self.ends.any(-1).all())


def lengths(tokens: Tensor, eos_token_id: int) -> Tensor:
    """Return each row's number of tokens up to and with its first end of text, or all that there are, `[batch]`."""
    ends = tokens == eos_token_id
    return torch.where(ends.any(-1), ends.int().argmax(-1) + 1, tokens.shape[1])
