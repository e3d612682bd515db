"""Where messages go: the console at once, a run's `run.log` from the moment that it has a folder."""

import io
import logging
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import datasets
import transformers
from tqdm import tqdm

from textbox_elmer.files import open_own, writing
from textbox_elmer.terminal import shown

PACKAGE = "textbox_elmer"
FORMAT = "%(asctime)s %(levelname)s %(message)s"


class LineFormatter(logging.Formatter):
    """Writes messages as they may be shown on a terminal, from a log too."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a message with its time and level."""
        return shown(super().format(record), lines=True)


class ConsoleHandler(logging.Handler):
    """Writes to stderr above a progress bar, if one is being drawn, instead of through it."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr)


class LogFile(logging.FileHandler):
    """Appends to a file; when that cannot be written any more, it says so once and the run goes on without it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(path)

    def _open(self) -> io.TextIOWrapper:
        return io.TextIOWrapper(open_own(self.path), encoding="utf-8", errors="backslashreplace")

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        logger = logging.getLogger(PACKAGE)
        logger.removeHandler(self)
        with suppress(OSError):
            self.close()
        logger.warning("%s cannot be written (%s): going on without it.", self.path, error.strerror)


def quiet_libraries() -> None:
    """Let other libraries say errors alone and draw no bars: for the command line alone, in a process of its own."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    # Said at every start, it tells how the losses of transformers 4.12 changed.
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers.models.encoder_decoder")


def log_to_console(level: str) -> None:
    """Show a command's messages from `level` ("info", …) on stderr, and no other library's."""
    quiet_libraries()
    show_messages(level)


def show_messages(level: str) -> None:
    """Show this package's messages from `level` ("info", …) on stderr."""
    logger = logging.getLogger(PACKAGE)
    logger.setLevel(level.upper())
    logger.propagate = False
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    _add(logger, ConsoleHandler())


def log_to_file(path: Path) -> None:
    """Append the same messages, and transformers' own, to a file, one plain line each.

    Raises:
        UserError: it cannot be written.
    """
    with writing(path, "give another --filename"):
        handler = LogFile(path)
    _add(logging.getLogger(PACKAGE), handler)


def _add(logger: logging.Logger, handler: logging.Handler) -> None:
    handler.setFormatter(LineFormatter(FORMAT))
    logger.addHandler(handler)
