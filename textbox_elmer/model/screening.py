"""Exact argmax over the vocabulary at bfloat16's price: a coarse pass finds candidates, an exact one settles them."""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .finite import NoNumbersError

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

    A bfloat16 weight's coarse logits are its logits; there the screen only spares the entropies.

    Args:
        weight: `[vocabulary, width]`, float32 or bfloat16.

    Raises:
        NoNumbersError: the weight holds what is no number, which no bound can be put on.
    """

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight = weight.detach()
        coarse = weight.bfloat16()
        self.error = (weight.float() - coarse.float()).norm(dim=-1).max()
        self.longest = coarse.float().norm(dim=-1).max()
        if not self.longest.isfinite():
            raise NoNumbersError("The model's vocabulary holds what is no number, or too large.")
        # The last word is repeated, which changes no maximum.
        missing = -len(weight) % GROUP
        self.coarse = torch.cat([coarse, coarse[-1:].expand(missing, -1)])

    def best(self, states: Tensor) -> Tensor:
        """Return the likeliest word of each state `[n, width]`, `[n]`."""
        return torch.cat([self._settle(part, self._look(part)) for part in states.split(STATES_AT_A_TIME)])

    def judge(self, states: Tensor, entropy: float) -> tuple[Tensor, Tensor]:
        """Find where the entropy of each state's words lies, `[n, width]`, as far as the bounds tell.

        Returns:
            whether it is surely below `entropy` (nats), and whether it surely is not, each `[n]`.
        """
        parts = []
        for part in states.split(STATES_AT_A_TIME):
            least, most = self._look(part).entropy_bounds()
            parts.append((most < entropy, least >= entropy))
        below, not_below = (torch.cat(column) for column in zip(*parts, strict=True))
        return below, not_below

    def _look(self, states: Tensor) -> "Look":
        rounded = states.bfloat16()
        logits = F.linear(rounded, self.coarse).unflatten(-1, (-1, GROUP))
        tops = logits.amax(-1)
        states = states.float()
        off = (states - rounded.float()).norm(dim=-1) * self.longest + states.norm(dim=-1) * self.error
        off += tops.abs().amax(-1).float() * BFLOAT16_ROUNDING
        return Look(logits, tops.float(), off)

    def _settle(self, states: Tensor, look: "Look") -> Tensor:
        if states.dtype == torch.bfloat16:
            best = look.tops.argmax(-1, keepdim=True)
            place = look.logits.gather(1, best[..., None].expand(-1, -1, GROUP)).argmax(-1)
            return (best * GROUP + place).squeeze(1)
        least = (look.tops.amax(-1) - 2 * look.off)[:, None]
        # Whole groups are ruled out first: comparing each of 50,000 words would take as long as the product.
        rows, groups = (look.tops >= least).nonzero(as_tuple=True)
        group_of, place = (look.logits[rows, groups] >= least[rows]).nonzero(as_tuple=True)
        if len(place) > MOST_CANDIDATES * len(states):
            return F.linear(states, self.weight).argmax(-1)
        rows, words = rows[group_of], (groups[group_of] * GROUP + place).clamp(max=len(self.weight) - 1)
        exact = torch.linalg.vecdot(self.weight[words], states[rows])
        highest = exact.new_full((len(states),), -torch.inf).scatter_reduce(0, rows, exact, "amax")
        # Of equal logits the first word counts, as in argmax.
        words = words.where(exact == highest[rows], len(self.weight))
        return words.new_full((len(states),), len(self.weight)).scatter_reduce(0, rows, words, "amin")


class Look(NamedTuple):
    """A coarse pass over the vocabulary for n states.

    Attributes:
        logits: bfloat16, `[n, groups, GROUP]`.
        tops: each group's best, `[n, groups]`.
        off: how far any logit may lie from the exact one, `[n]`.
    """

    logits: Tensor
    tops: Tensor
    off: Tensor

    def entropy_bounds(self) -> tuple[Tensor, Tensor]:
        """Return what each state's entropy is not below and not above, in nats, `[n]` each.

        With Z the sum of all words' exp(logit - best), log Z = -log p(best) is not above the entropy. The sum counts
        one word of each group at least, and at most GROUP words as likely as the group's best; the best group is looked
        at word by word. Of all distributions with that p(best), the one that spreads the rest evenly has the largest
        entropy.
        """
        best, group = self.tops.max(-1, keepdim=True)
        others = (self.tops - best).exp().scatter(1, group, 0.0).sum(-1)
        beside = self.logits.gather(1, group[..., None].expand(-1, -1, GROUP))[:, 0].float()
        beside = ((beside - best).exp().sum(-1) - 1).clamp(min=0)
        slack = (2 * self.off).exp()
        least = torch.log1p(others / slack)
        rest = (GROUP * others + beside) * slack
        unlikely = rest / (1 + rest)
        words = self.logits[0].numel()
        most = torch.special.entr(unlikely) + torch.special.entr(1 - unlikely) + unlikely * math.log(words)
        # The bound falls again where the best word is less likely than most others together.
        return least, torch.where(unlikely < 0.5, most, torch.inf)


def screen_pays(weight: Tensor) -> bool:
    """Tell whether this weight's processor multiplies bfloat16 natively, several times faster than float32.

    Not on another device, which the host would have to wait for to learn how many candidates there are.
    """
    if weight.dtype not in (torch.float32, torch.bfloat16) or weight.device.type != "cpu":
        return False
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
