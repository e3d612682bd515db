"""The processes of one run: one, or those that torchrun or accelerate started."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import DistributedType, broadcast_object_list, parse_flag_from_env

from textbox_elmer.errors import UserError

T = TypeVar("T")

# The main process may index a corpus or train a tokenizer for long while the others wait.
PATIENCE = timedelta(hours=12)


class Processes:
    """The processes that run this same code, of which `main` writes what is written once.

    Attributes:
        count, index: how many there are, and which of them this is.
        is_main: whether it is the main one.
        shards: whether each holds a part of the weights alone (FSDP).

    Raises:
        UserError: the launcher was asked to spread the weights where it cannot.
    """

    def __init__(self, use_gpu: bool) -> None:
        self._state = PartialState(cpu=not (use_gpu and torch.accelerator.is_available()), timeout=PATIENCE)
        self.count, self.index = self._state.num_processes, self._state.process_index
        self.is_main = self._state.is_main_process
        self.shards = parse_flag_from_env("ACCELERATE_USE_FSDP")
        if self._state.distributed_type in (DistributedType.NO, DistributedType.MULTI_CPU):
            for option in ("use_fsdp", "use_deepspeed"):
                # accelerate says nothing, and lets each process hold all weights.
                if parse_flag_from_env(f"ACCELERATE_{option.upper()}"):
                    raise UserError(
                        f"accelerate launch --{option} spreads a model over GPUs, and this run uses none: launch it "
                        f"without --{option}."
                    )

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """Let the main process go through the block before all others."""
        with self._state.main_process_first():
            yield

    def from_main(self, value: T | None) -> T:
        """Return the main process's value in every process; the others' is none."""
        return broadcast_object_list([value])[0]
