"""Where entropies over the vocabulary lie, at bfloat16's price: bounds that leave few states open."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

BFLOAT16_ROUNDING = 2**-8
# Words are screened in groups; padding makes their number divisible.
GROUP = 64
STATES_AT_A_TIME = 128


class EntropyScreen:
    """A bfloat16 copy of the vocabulary's weight, with a bound on how far its logits may lie from the exact ones.

    The bound is `Screen`'s, and the product itself is rounded to bfloat16. int8's would be too wide: it counts twice,
    in an exponent.

    Args:
        weight: `[vocabulary, width]`, float32 or bfloat16, finite.
    """

    def __init__(self, weight: Tensor) -> None:
        coarse = weight.bfloat16()
        self.error = (weight.float() - coarse.float()).norm(dim=-1).max()
        self.longest = coarse.float().norm(dim=-1).max()
        self.packed = torch.ops.mkldnn._reorder_linear_weight(in_groups(coarse), GROUP)

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
        logits = torch.ops.mkldnn._linear_pointwise(rounded, self.packed, None, "none", [], "")
        logits = logits.unflatten(-1, (-1, GROUP))
        tops = logits.amax(-1)
        states = states.float()
        off = (states - rounded.float()).norm(dim=-1) * self.longest + states.norm(dim=-1) * self.error
        off += tops.abs().amax(-1).float() * BFLOAT16_ROUNDING
        return Look(logits, tops.float(), off)


def in_groups(words: Tensor) -> Tensor:
    """Repeat the last of `[vocabulary, …]` words, which changes no maximum, until whole groups are full."""
    missing = -len(words) % GROUP
    return torch.cat([words, words[-1:].expand(missing, *words.shape[1:])])


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
        words = self.logits.shape[1] * GROUP
        most = torch.special.entr(unlikely) + torch.special.entr(1 - unlikely) + unlikely * math.log(words)
        # The bound falls again where the best word is less likely than most others together.
        return least, torch.where(unlikely < 0.5, most, torch.inf)
