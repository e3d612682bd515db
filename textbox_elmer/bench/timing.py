"""How long a call takes."""

import time
from collections.abc import Callable

import torch

from textbox_elmer.runtime.models.generation import wait_for


def seconds_of(call: Callable[[], object], device: torch.device) -> float:
    """Return a call's seconds; on a CPU with one thread those of the CPU, which a busy machine stretches less."""
    clock = time.process_time if _is_one_thread(device) else time.perf_counter
    wait_for(device)
    start = clock()
    call()
    wait_for(device)
    return clock() - start


def hardware(device: torch.device) -> str:
    """Say what computes, and which time `seconds_of` takes of it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name()
    return "1 thread, CPU time" if _is_one_thread(device) else f"{torch.get_num_threads()} threads"


def _is_one_thread(device: torch.device) -> bool:
    return device.type == "cpu" and torch.get_num_threads() == 1
