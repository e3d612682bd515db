"""The head in operations that a static graph has."""

import torch
from torch import Tensor
from torch.nn import functional as F

from textbox_elmer.model.off_ramp import OffRamp, Reading


class StaticOffRamp(OffRamp):
    """An off-ramp that multiplies all states with all words at once.

    Screens and passes over parts of the vocabulary depend on the states' number and values, unknown to a static graph.
    """

    def best(self, states: Tensor, with_bias: bool = True) -> Tensor:
        """See `OffRamp`."""
        return F.linear(self.norm(states), self.weight, self.bias if with_bias else None).argmax(-1)

    def read(self, states: Tensor, with_entropies: bool = True) -> Reading:
        """See `OffRamp`."""
        logits = F.linear(self.norm(states), self.weight, self.bias)
        best, tokens = logits.max(-1)
        weights = (logits - best[:, None]).exp()
        total = weights.sum(-1)
        log_total = total.log() + best
        entropies = torch.full_like(total, torch.nan)
        if with_entropies:
            entropies = log_total - torch.linalg.vecdot(weights, logits) / total
        return Reading(tokens, 1 / total, entropies, log_total)
