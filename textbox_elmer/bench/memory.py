"""How much memory a call needs beyond what was held before it."""

import ctypes
from collections.abc import Callable
from pathlib import Path

import torch

MEGABYTE = 2**20


def peak_megabytes(call: Callable[[], object], device: torch.device) -> float:
    """Run `call` and return by how many MB memory rose above what was in use: the GPU's, or this process's.

    On the CPU that is Linux's high-water mark of the resident set, reset before the call.
    """
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        torch.cuda.synchronize()
        return (torch.cuda.max_memory_allocated() - before) / MEGABYTE
    # Freed memory that the allocator keeps would hide what the call needs.
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    call()
    return (_status("VmHWM") - before) / 1024


def resident_megabytes() -> float:
    """Return how much memory this process holds (Linux)."""
    return _status("VmRSS") / 1024


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])
