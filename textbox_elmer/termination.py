"""SIGTERM, by which schedulers ask a process to end: obeyed at once, or where work that would be lost can be kept."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STATUS = 128 + signal.SIGTERM
NOTHING_LOST = "nothing is half-written, repeat the command."


class Terminated(BaseException):
    """SIGTERM has come; the message says in one sentence what is kept and how to go on.

    No `Exception`: what mends faults has nothing to mend here.
    """


class _Ear:
    """What this process has heard, and whether it is obeyed at once."""

    def __init__(self) -> None:
        self.process, self.heard, self.deferrals = os.getpid(), False, 0

    def hear(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self.process:  # a forked worker's end is no matter of ours
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif not self.heard:  # a second one changes nothing: the first is being obeyed
            self.heard = True
            if not self.deferrals:
                raise Terminated(NOTHING_LOST)


_ear = _Ear()


@contextmanager
def listening() -> Iterator[None]:
    """Let SIGTERM raise `Terminated` within the block, unless the program around it handles that signal itself."""
    global _ear
    ours = threading.current_thread() is threading.main_thread()
    ours = ours and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    _ear = _Ear()
    if ours:
        signal.signal(signal.SIGTERM, _ear.hear)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def deferred(otherwise: str = NOTHING_LOST) -> Iterator[None]:
    """Raise nothing within the block, which asks `is_terminated` where it can end and then raises `Terminated` itself.

    Args:
        otherwise: what `Terminated` says if it is raised after the block, which ended of itself.
    """
    _ear.deferrals += 1
    try:
        yield
    finally:
        _ear.deferrals -= 1
    if _ear.heard:
        raise Terminated(otherwise)


@contextmanager
def saying(sentence: str) -> Iterator[None]:
    """Let a `Terminated` that is raised at once within the block say this."""
    try:
        yield
    except Terminated as terminated:
        if str(terminated) != NOTHING_LOST:
            raise
        raise Terminated(sentence) from None


def is_terminated() -> bool:
    """Tell whether SIGTERM has come."""
    return _ear.heard
