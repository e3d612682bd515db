"""Exact argmax over the vocabulary at int8's price: a coarse pass finds candidates, an exact one settles them."""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from .entropy_screen import GROUP, STATES_AT_A_TIME, EntropyScreen, in_groups
from .finite import NoNumbersError, are_numbers
from .packing import multiplies_bfloat16

LARGEST_CODE = 127
# Dimensions that are rotated together, if that many divide the width, else the most that do.
TURNED_TOGETHER = 64
# Beyond this many candidates a state, settling them costs more than the plain product.
MOST_CANDIDATES = 256
# Words whose codes are made at a time.
WORDS_AT_A_TIME = 4096
SMALLEST = 1e-30


class Screen:
    """An int8 copy of the vocabulary's weight, with a bound on how far its logits may lie from the exact ones.

    For a state h, a word w and what their codes stand for, h' and w': |h·w - h'·w'| <= |h - h'||w'| + |h||w - w'|
    (Cauchy-Schwarz). What that bound lets be above the exact logit of the coarse best word is computed again from the
    weight as it is, so that the token is the one that all exact logits would give.

    States and words are turned together, by a random rotation of some dimensions at a time, before they get their
    codes. No product changes by that, but numbers far larger than the rest, as trained networks have them, are spread
    over those dimensions: codes that reach up to them would tell nothing else apart.

    Args:
        weight: `[vocabulary, width]`, float32 or bfloat16.

    Raises:
        NoNumbersError: the weight holds what is no number, which no bound can be put on.
    """

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight = weight.detach()
        if not are_numbers([weight]):
            raise NoNumbersError("The model's vocabulary holds what is no number, or too large.")
        width = weight.shape[1]
        together = max(size for size in range(1, TURNED_TOGETHER + 1) if width % size == 0)
        drawn = torch.randn(together, together, generator=torch.Generator().manual_seed(0))
        self.rotation = torch.linalg.qr(drawn).Q
        parts = [self._encode(part) for part in weight.split(WORDS_AT_A_TIME)]
        columns = (in_groups(torch.cat(column)) for column in zip(*parts, strict=True))
        codes, self.scales, errors, norms = columns
        self.packed = torch.ops.onednn.qlinear_prepack(codes, [GROUP, width])
        self.zero_points = torch.zeros(len(codes), dtype=torch.long)
        self.error, self.longest = (part.unflatten(0, (-1, GROUP)).amax(-1) for part in (errors, norms))
        self._entropies: EntropyScreen | None = None

    @property
    def entropies(self) -> EntropyScreen | None:
        """Return what tells where entropies lie, made when it is first asked for; None where it would not pay."""
        if self._entropies is None and multiplies_bfloat16():
            self._entropies = EntropyScreen(self.weight)
        return self._entropies

    def best(self, states: Tensor, excluded: Tensor) -> Tensor:
        """Return the likeliest word of each state `[n, width]`, `[n]`, but none of the `excluded` ids `[m]`."""
        return torch.cat([self._best(part, excluded) for part in states.split(STATES_AT_A_TIME)])

    def _encode(self, words: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return words' codes `[n, width]`, what a step of each one's codes means, its error and its norm, `[n]` each.

        The error includes what float32 may lose in turning and multiplying them.
        """
        turned = self._turn(words.float())
        scales = (turned.abs().amax(-1) / LARGEST_CODE).clamp(min=SMALLEST)
        codes = (turned / scales[:, None]).round()
        norms = turned.norm(dim=-1)
        errors = (turned - codes * scales[:, None]).norm(dim=-1) + norms * turned.shape[-1] * 2**-23
        return codes.to(torch.int8), scales, errors, norms + errors

    def _best(self, states: Tensor, excluded: Tensor) -> Tensor:
        exact_states = states.float()
        turned = self._turn(exact_states)
        scale = (turned.abs().amax(-1, keepdim=True) / LARGEST_CODE).clamp(min=SMALLEST)
        turned /= scale  # from here on a state is as long as its codes, and logits are in steps of them
        codes = turned.round()
        logits = _product(codes.to(torch.int8), self.packed, self.scales, self.zero_points)
        logits.index_fill_(1, excluded, -torch.inf)
        logits = logits.unflatten(-1, (-1, GROUP))
        off = torch.outer((turned - codes).norm(dim=-1), self.longest).addr_(turned.norm(dim=-1), self.error)
        tops = logits.amax(-1)
        group = tops.argmax(-1, keepdim=True)
        place = logits.gather(1, group[..., None].expand(-1, -1, GROUP)).argmax(-1)
        first = self._exact(exact_states, (group * GROUP + place)[:, 0])
        # A rounded logit may be reached by words that lie below it by a step of their type.
        rounding = torch.finfo(states.dtype).eps * first.abs()[:, None]
        least = (first[:, None] - rounding) / scale - off
        # Whole groups are ruled out first: comparing each of 50,000 words would take as long as the product.
        rows, groups = (tops >= least).nonzero(as_tuple=True)
        group_of, place = (logits[rows, groups] >= least[rows, groups][:, None]).nonzero(as_tuple=True)
        if len(place) > MOST_CANDIDATES * len(states):
            plain = F.linear(states, self.weight)
            return plain.index_fill_(1, excluded, -torch.inf).argmax(-1)
        rows, words = rows[group_of], groups[group_of] * GROUP + place
        exact = self._exact(exact_states[rows], words).to(states.dtype)
        highest = exact.new_full((len(states),), -torch.inf).scatter_reduce(0, rows, exact, "amax")
        # Of equal logits the first word counts, as in argmax.
        words = words.where(exact == highest[rows], len(self.weight))
        words = words.new_full((len(states),), len(self.weight)).scatter_reduce(0, rows, words, "amin")
        return words.clamp(max=len(self.weight) - 1)

    def _turn(self, vectors: Tensor) -> Tensor:
        return (vectors.unflatten(-1, (-1, len(self.rotation))) @ self.rotation).flatten(-2)

    def _exact(self, states: Tensor, words: Tensor) -> Tensor:
        """Return the logits of one word for each state `[n, width]`, in float32, `[n]`."""
        return torch.linalg.vecdot(self.weight[words.clamp(max=len(self.weight) - 1)].float(), states)


def screen_pays(weight: Tensor) -> bool:
    """Tell whether this weight's processor multiplies int8 natively, several times faster than float32.

    Not on another device, which the host would have to wait for to learn how many candidates there are.
    """
    if weight.dtype not in (torch.float32, torch.bfloat16) or weight.device.type != "cpu":
        return False
    return torch.backends.mkldnn.is_available() and torch.cpu._is_vnni_supported() and _products_are_right()


@cache
def _products_are_right() -> bool:
    """Try oneDNN's int8 products at their largest: the operator is PyTorch's own, and other versions may lack it."""
    codes = torch.full((GROUP, GROUP), LARGEST_CODE, dtype=torch.int8)
    codes[::2] *= -1
    one, none = torch.ones(GROUP), torch.zeros(GROUP, dtype=torch.long)
    try:
        found = _product(codes, torch.ops.onednn.qlinear_prepack(codes, [GROUP, GROUP]), one, none)
    except (RuntimeError, AttributeError):
        return False
    return torch.equal(found, codes.float() @ codes.float().T)


def _product(states: Tensor, packed: Tensor, scales: Tensor, zero_points: Tensor) -> Tensor:
    """Multiply codes `[n, width]` by packed codes of words `[m, width]`, and each word's by its scale, `[n, m]`."""
    weight = (packed, scales, zero_points)
    return torch.ops.onednn.qlinear_pointwise(states, 1.0, 0, *weight, None, 1.0, 0, torch.float32, "none", [], "")
