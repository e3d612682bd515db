"""Where messages go: the console at once, a run's `run.log` from the moment that it has a folder."""

import logging
import sys
from pathlib import Path

import datasets
import transformers
from tqdm import tqdm

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


def log_to_console(level: str) -> None:
    """Show this package's messages from `level` ("info", …) on stderr, and the libraries' warnings."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    logger = logging.getLogger(PACKAGE)
    logger.setLevel(level.upper())
    logger.propagate = False
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    _add(logger, ConsoleHandler())


def log_to_file(path: Path) -> None:
    """Append the same messages, and transformers' own, to a file, one plain line each."""
    handler = logging.FileHandler(path, encoding="utf-8")
    _add(logging.getLogger(PACKAGE), handler)


def _add(logger: logging.Logger, handler: logging.Handler) -> None:
    handler.setFormatter(LineFormatter(FORMAT))
    logger.addHandler(handler)
