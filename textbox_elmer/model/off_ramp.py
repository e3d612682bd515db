"""An off-ramp at inference: what states predict, from passes over the vocabulary that never hold all logits at once."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .screening import Screen

# Logits that are held at a time: 32 MB in float32, which stay in a CPU's cache between the matrix product and its use.
LOGITS_AT_A_TIME = 2**23
MOST_WORDS, FEWEST_WORDS = 16384, 1024
# On another device, where nothing is gained by pieces but memory, and each is one more launch.
LOGITS_ON_A_DEVICE = 2**27
# The bias of a word that is out of the question: finite, so that nothing becomes NaN, and a float16.
EXCLUDED = -1e4


class Reading(NamedTuple):
    """What `[n, width]` states predict, each `[n]`.

    Attributes:
        tokens: the likeliest token.
        probabilities: its probability.
        entropies: the distribution's entropy in nats; NaN where it was not asked for.
        log_totals: logarithm of the sum of all words' exp(logit).
    """

    tokens: Tensor
    probabilities: Tensor
    entropies: Tensor
    log_totals: Tensor


class OffRamp:
    """The head that all exits share, read at some states instead of multiplied out.

    Args:
        weight: `[vocabulary, width]`.
        bias: `[1, vocabulary]`, which soft exit's predictions inside the decoder leave out.
        screen: a `Screen` of the weight, where it makes `best` faster; the result is the same.
        norm: what the layers' states go through first.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        screen: Screen | None = None,
        norm: Callable[[Tensor], Tensor] = nn.Identity(),  # noqa: B008 - it has no state
    ) -> None:
        self.weight, self.bias, self.screen, self.norm = weight, bias.squeeze(0), screen, norm
        # All that a screen knows of biases is which words are out of the question.
        self.excluded = self.bias.new_empty(0, dtype=torch.long) if screen is None else self.bias.nonzero()[:, 0]
        self.biased = screen is not None and bool((self.bias[self.excluded] > EXCLUDED).any())

    def best(self, states: Tensor, with_bias: bool = True) -> Tensor:
        """Return the likeliest token of each state `[..., width]`, `[...]`."""
        flat = self.norm(states).flatten(0, -2)
        if (screen := self._screen(flat, with_bias)) is not None:
            excluded = self.excluded if with_bias else self.excluded[:0]
            return screen.best(flat, excluded).unflatten(0, states.shape[:-1])
        best: Tensor | None = None
        for start, logits in self._chunks(flat, self.bias if with_bias else None):
            values, found = logits.max(-1)
            if best is None:
                best, tokens = values, found
            else:
                tokens = torch.where(values > best, found + start, tokens)
                best = torch.maximum(best, values)
        return tokens.unflatten(0, states.shape[:-1])

    def read(self, states: Tensor, with_entropies: bool = True) -> Reading:
        """Return token, probability and, if asked for, entropy of each state `[n, width]` in one pass, in float32."""
        return self._read(self.norm(states), with_entropies)

    def _read(self, states: Tensor, with_entropies: bool = True) -> Reading:
        best = torch.full(states.shape[:1], -torch.inf, device=states.device)
        tokens = torch.zeros(states.shape[:1], dtype=torch.long, device=states.device)
        total, moment = torch.zeros_like(best), torch.zeros_like(best)
        for start, logits in self._chunks(states, self.bias):
            logits = logits.float()
            values, found = logits.max(-1)
            tokens = torch.where(values > best, found + start, tokens)
            highest = torch.maximum(best, values)
            # Sums are kept relative to the highest logit so far, as a stable softmax's are.
            shrink = (best - highest).exp()
            best = highest
            if with_entropies:
                weights = (logits - highest[:, None]).exp_()
                moment = moment * shrink + torch.linalg.vecdot(weights, logits)
            else:  # in place: a third of the time that fresh memory takes
                weights = logits.sub_(highest[:, None]).exp_()
            total = total * shrink + weights.sum(-1)
        log_total = total.log() + best
        # Rounding must let nothing leave at a threshold of 0.
        entropies = (log_total - moment / total).clamp(min=0) if with_entropies else torch.full_like(total, torch.nan)
        return Reading(tokens, 1 / total, entropies, log_total)

    def are_sure(self, states: Tensor, entropy: float) -> Tensor:
        """Return which predictions of `[n, width]` states have an entropy below this one (nats), `[n]`."""
        states = self.norm(states)
        screen = self._screen(states, with_bias=True)
        if screen is None or screen.entropies is None or len(self.excluded):
            return self._read(states).entropies < entropy
        sure, unsure = screen.entropies.judge(states, entropy)
        open_ = ~(sure | unsure)
        if open_.any():
            sure[open_] = self._read(states[open_]).entropies < entropy
        return sure

    def top(self, states: Tensor, count: int) -> Tensor:
        """Return the `count` likeliest tokens of each state `[..., width]`, the likeliest first, `[..., count]`."""
        best, tokens = [], []
        for start, logits in self._chunks(self.norm(states).flatten(0, -2), self.bias):
            values, found = logits.topk(min(count, logits.shape[-1]))
            best.append(values)
            tokens.append(found + start)
        order = torch.cat(best, -1).topk(min(count, len(self.weight))).indices
        return torch.cat(tokens, -1).gather(-1, order).unflatten(0, states.shape[:-1])

    def _screen(self, states: Tensor, with_bias: bool) -> Screen | None:
        same_type = states.dtype == self.weight.dtype  # not so under autocast
        return self.screen if same_type and not (with_bias and self.biased) else None

    def _chunks(self, states: Tensor, bias: Tensor | None) -> Iterator[tuple[int, Tensor]]:
        vocabulary = self.weight.shape[0]
        on_cpu = states.device.type == "cpu"
        words = max((LOGITS_AT_A_TIME if on_cpu else LOGITS_ON_A_DEVICE) // max(len(states), 1), FEWEST_WORDS)
        words = min(words, MOST_WORDS if on_cpu else vocabulary)
        for start in range(0, vocabulary, words):
            part = slice(start, start + words)
            yield start, F.linear(states, self.weight[part], None if bias is None else bias[part])
