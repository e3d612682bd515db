"""A run's curves, as TensorBoard draws them; a disk too full for them ends no training."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter
from transformers.integrations import TensorBoardCallback

logger = logging.getLogger(__name__)


class Curves(TensorBoardCallback):
    """Writes a training's log into a folder; when that cannot be written, it says so once and writes no more."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.failed = folder, False
        if not isinstance(threading.excepthook, _QuietHook):
            threading.excepthook = _QuietHook(threading.excepthook)
        self._write(self._open)

    def _open(self) -> None:
        super().__init__(SummaryWriter(log_dir=str(self.folder)))

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        """Write down the configuration."""
        self._write(super().on_train_begin, *args, **kwargs)

    def on_log(self, *args: Any, **kwargs: Any) -> None:
        """Write down the numbers of a log entry."""
        self._write(super().on_log, *args, **kwargs)

    def on_train_end(self, *args: Any, **kwargs: Any) -> None:
        """Write what has not been written yet."""
        self._write(super().on_train_end, *args, **kwargs)

    def _write(self, write: Callable[..., None], *args: Any, **kwargs: Any) -> None:
        try:
            if not self.failed:
                write(*args, **kwargs)
        except OSError as error:
            self.failed = True
            logger.warning("%s cannot be written (%s): going on without curves.", self.folder, error.strerror)


class _QuietHook:
    """Prints no traceback of TensorBoard's writing thread, whose OSError reaches us at the next entry."""

    def __init__(self, usual: Callable[[Any], Any]) -> None:
        self.usual = usual

    def __call__(self, failure: Any) -> None:
        writes = type(failure.thread).__module__.startswith("tensorboard")
        if not (writes and isinstance(failure.exc_value, OSError)):
            self.usual(failure)
