"""Exact argmax over the vocabulary at bfloat16's price: a coarse pass finds candidates, an exact one settles them."""

import torch
from torch import Tensor
from torch.nn import functional as F

BFLOAT16_ROUNDING = 2**-8
# Words are screened in groups; padding makes their number divisible.
GROUP = 64
STATES_AT_A_TIME = 128
# Beyond this many candidates a state, settling them costs more than the plain product.
MOST_CANDIDATES = 256


class Screen:
    """A bfloat16 copy of the vocabulary's weight, with a bound on how far its logits may lie from the exact ones.

    For a state h, a word w and their roundings h', w': |h·w - h'·w'| <= |h - h'||w'| + |h||w - w'| (Cauchy-Schwarz),
    and the product itself is rounded to bfloat16. Whatever lies within twice that bound of the best coarse logit is
    computed again in the weight's own precision, so that the token is the one that all exact logits would give.

    Args:
        weight: `[vocabulary, width]`, float32.
        bias: `[1, vocabulary]`; whether it is zero is remembered in `biased`.
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight, self.biased = weight, bool(bias.any())
        self.version = weight._version, weight.data_ptr()
        coarse = weight.bfloat16()
        self.error = (weight - coarse.float()).norm(dim=-1).max()
        self.longest = coarse.float().norm(dim=-1).max()
        # The last word is repeated, which changes no maximum.
        missing = -len(weight) % GROUP
        self.coarse = torch.cat([coarse, coarse[-1:].expand(missing, -1)])

    def is_of(self, weight: Tensor) -> bool:
        """Tell whether this is the weight, unchanged, that the screen was made of."""
        return (weight._version, weight.data_ptr()) == self.version

    def best(self, states: Tensor) -> Tensor:
        """Return the likeliest word of each state `[n, width]`, `[n]`."""
        return torch.cat([self._best(part) for part in states.split(STATES_AT_A_TIME)])

    def least_surprise(self, states: Tensor) -> Tensor:
        """Return a lower bound of -log p of each state's likeliest word, and so of its entropy in nats, `[n]`."""
        bounds = []
        for part in states.split(STATES_AT_A_TIME):
            tops, off, _ = self._coarse(part)
            # Only the best word of each group is counted, so the sum is too small at most.
            bounds.append(tops.float().logsumexp(-1) - tops.amax(-1) - 2 * off[:, 0])
        return torch.cat(bounds)

    def _coarse(self, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the groups' best logits `[n, groups]`, how far they may be off `[n, 1]`, and all logits."""
        rounded = states.bfloat16()
        logits = F.linear(rounded, self.coarse).unflatten(-1, (-1, GROUP))
        tops = logits.amax(-1)
        off = (states - rounded.float()).norm(dim=-1, keepdim=True) * self.longest
        off += states.norm(dim=-1, keepdim=True) * self.error
        return tops, off + tops.abs().amax(-1, keepdim=True).float() * BFLOAT16_ROUNDING, logits

    def _best(self, states: Tensor) -> Tensor:
        tops, off, logits = self._coarse(states)
        least = tops.amax(-1, keepdim=True).float() - 2 * off
        # Whole groups are ruled out first: comparing each of 50,000 words would take as long as the product.
        rows, groups = (tops >= least).nonzero(as_tuple=True)
        group_of, place = (logits[rows, groups] >= least[rows]).nonzero(as_tuple=True)
        if len(place) > MOST_CANDIDATES * len(states):
            return F.linear(states, self.weight).argmax(-1)
        rows, words = rows[group_of], (groups[group_of] * GROUP + place).clamp(max=len(self.weight) - 1)
        exact = torch.linalg.vecdot(self.weight[words], states[rows])
        highest = exact.new_full((len(states),), -torch.inf).scatter_reduce(0, rows, exact, "amax")
        # Of equal logits the first word counts, as in argmax.
        words = words.where(exact == highest[rows], len(self.weight))
        return words.new_full((len(states),), len(self.weight)).scatter_reduce(0, rows, words, "amin")


def screen_pays(weight: Tensor) -> bool:
    """Tell whether this weight's device multiplies bfloat16 natively, several times faster than float32."""
    if weight.dtype != torch.float32:
        return False
    if weight.device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return weight.device.type == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
