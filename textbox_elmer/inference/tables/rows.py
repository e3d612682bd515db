"""What all kinds of files have in common: rows, windows of rows, answers, and the columns that these add."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

import pyarrow

from textbox_elmer.errors import UserError
from textbox_elmer.files import open_regular
from textbox_elmer.suggest import nearest
from textbox_elmer.terminal import reason_of

# A window is as long as its texts may be sorted; both bounds keep the memory that it takes.
ROWS, SIZE = 2048, 2**25
# Bytes of a line, or characters of a field: beyond, a file has no line ends, or an open quote.
LONGEST = 2**24
HEAD = 2**13  # bytes, which show whether a file is text
SHOWN = 10  # column names in a message
ERROR = "error"


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        values: its columns, as the file has them.
        text: what is to be answered; None if it cannot be.
        fault: why it cannot.
        json: the row as the file has it, where that is a JSON object.
    """

    values: Mapping[str, Any]
    text: str | None
    fault: str | None = None
    json: str | None = None


@dataclass(frozen=True)
class Window:
    """Some rows that follow on each other; `batch` holds their columns where the file is one of Arrow's."""

    rows: Sequence[Row]
    batch: pyarrow.RecordBatch | None = None


@dataclass(frozen=True)
class Answer:
    """What became of one text.

    Attributes:
        text: what the model wrote, in one line; None if it was not asked.
        fault: why it was not.
        cut: how many of the source's tokens the model has not read, for want of room.
        details: how the text came about, by the names of `details_of`; empty unless it was asked for.
    """

    text: str | None
    fault: str | None = None
    cut: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NewColumns:
    """The columns that answers add.

    Attributes:
        generated: what that of the texts is called.
        details: the names of those that say how a text came about.
    """

    generated: str
    details: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, in their order."""
        return (self.generated, ERROR, *self.details)

    def values(self, answer: Answer) -> dict[str, Any]:
        """Return an answer by column."""
        told = {name: answer.details.get(name) for name in self.details}
        return {self.generated: answer.text, ERROR: answer.fault, **told}


class Table(Protocol):
    """One file of texts."""

    name: str

    def count(self) -> int | None:
        """Return how many rows it has, or may have at most; None if that is not known."""

    def windows(self) -> Iterator[Window]:
        """Yield its rows in their order, the same windows each time.

        Raises:
            UserError: the file cannot be read, or has not the form that its kind has.
        """


class Format(Protocol):
    """How answers are written into one file."""

    def part(self, window: Window, answers: Sequence[Answer]) -> bytes:
        """Return a window's rows with their answers."""

    def join(self, parts: Iterable[IO[bytes]], file: IO[bytes]) -> None:
        """Write a whole file out of its parts, in their order."""


def windows_of(rows: Iterable[tuple[Row, int]]) -> Iterator[Window]:
    """Yield rows, each given with its size in bytes or characters, in windows."""
    window: list[Row] = []
    size = 0
    for row, more in rows:
        if len(window) == ROWS or (window and size + more > SIZE):
            yield Window(window)
            window, size = [], 0
        window.append(row)
        size += more
    if window:
        yield Window(window)


def row_of(values: Mapping[str, Any], text: Any, json: str | None = None) -> Row:
    """Return a row whose text is `text`, if that is one; bytes that are no UTF-8 may stand in it as surrogates."""
    if text is None:
        return Row(values, None, "no text", json)
    if not isinstance(text, str):
        return Row(values, None, f"no text, but a value of type {type(text).__name__}", json)
    text = text.strip()
    if not text:
        return Row(values, None, "no text", json)
    if not is_unicode(text):
        return Row(values, None, "not UTF-8 text", json)
    return Row(values, text, None, json)


def is_unicode(text: str) -> bool:
    """Tell whether a text can be encoded; surrogates, which stand for bytes that are none, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_column(name: str, present: Collection[str], column: str) -> None:
    """Raise a UserError if a file has no such column."""
    if column not in present:
        guess = nearest(column, present)
        hint = f"did you mean --column={guess}?" if guess else "say by --column=… which of them holds the texts."
        shown = ", ".join(map(repr, list(present)[:SHOWN])) or "none"
        raise UserError(f"{name} has no column {column!r}, but {shown}: {hint}")


def check_free(name: str, present: Collection[str], new: NewColumns) -> None:
    """Raise a UserError if a file has a column of a name that answers need."""
    for taken in new.names:
        if taken in present:
            other = ", or give another --output_column" if taken == new.generated else ""
            raise UserError(f"{name} has a column {taken!r} already, where answers go: rename it{other}.")


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file of texts to read.

    Raises:
        UserError: it cannot be read.
    """
    try:
        with open_regular(path) as file:
            yield file
    except OSError as error:
        raise UserError(f"{str(path)!r} cannot be read ({reason_of(error)}): give another --input.") from None


def check_text(name: str, head: bytes) -> None:
    """Raise a UserError if the first bytes of a file show that it is empty or no text."""
    if not head.strip():
        raise UserError(f"{name} is empty: there is no text in it.")
    if b"\0" in head:
        raise UserError(f"{name} is binary, or not UTF-8 text: save it as UTF-8 text.")


def count_lines(path: Path) -> int:
    """Return how many lines a file has."""
    lines, last = 0, b"\n"
    with opened(path) as file:
        while block := file.read(2**20):
            lines, last = lines + block.count(b"\n"), block[-1:]
    return lines + (last != b"\n")


def lines_of(file: IO[bytes]) -> Iterator[bytes]:
    """Yield a file's lines with their ends; of one that is too long its beginning, of more than `LONGEST` bytes."""
    while line := file.readline(LONGEST + 1):
        yield line
        while len(line) > LONGEST and not line.endswith(b"\n"):
            line = file.readline(LONGEST + 1)
