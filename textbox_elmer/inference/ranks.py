"""Which of several processes this is, as torchrun says."""

import os
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Ranks:
    """One process among those that share the work.

    Attributes:
        rank: its number, from 0.
        world: how many there are.
    """

    rank: int = 0
    world: int = 1

    def has(self, window: int) -> bool:
        """Tell whether a window is this process's to write."""
        return window % self.world == self.rank


def ranks_of_environment() -> Ranks:
    """Return this process's place among those that torchrun started, and take an accelerator of its own if there is."""
    ranks = Ranks(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))
    if ranks.world > 1 and torch.accelerator.is_available():
        local = int(os.environ.get("LOCAL_RANK", ranks.rank))
        torch.accelerator.set_device_index(local % torch.accelerator.device_count())
    return ranks
