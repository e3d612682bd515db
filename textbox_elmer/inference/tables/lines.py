"""Files of a text a line, and standard input."""

import codecs
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from io import BufferedReader
from pathlib import Path
from typing import IO, cast

from textbox_elmer.errors import UserError
from textbox_elmer.inference.tables.rows import (
    HEAD,
    LONGEST,
    Answer,
    Row,
    Window,
    check_text,
    count_lines,
    lines_of,
    opened,
    row_of,
    windows_of,
)


class LineTable:
    """A text a line; None is standard input, whose rows can be read once.

    Raises:
        UserError: the file cannot be read, is empty or no text.
    """

    def __init__(self, path: Path | None, column: str) -> None:
        self._path, self._column = path, column
        self.name = "Standard input" if path is None else repr(str(path))
        if path is None:
            if sys.stdin.isatty():
                raise UserError("No texts are given: give --input=…, or pipe some in, a text a line.")
            check_text(self.name, cast(BufferedReader, sys.stdin.buffer).peek(HEAD))
        else:
            with opened(path) as file:
                check_text(self.name, file.read(HEAD))

    def count(self) -> int | None:
        """Return the number of lines; None of what is piped in."""
        return None if self._path is None else count_lines(self._path)

    def windows(self) -> Iterator[Window]:
        """Yield the lines, blank ones too."""
        with self._opened() as file:
            yield from windows_of((self._row(line, place), len(line)) for place, line in enumerate(lines_of(file)))

    def _opened(self) -> AbstractContextManager[IO[bytes]]:
        return nullcontext(sys.stdin.buffer) if self._path is None else opened(self._path)

    def _row(self, line: bytes, place: int) -> Row:
        if place == 0:
            line = line.removeprefix(codecs.BOM_UTF8)
        if len(line) > LONGEST:
            return Row({self._column: None}, None, too_long())
        text = line.rstrip(b"\r\n").decode("utf-8", "surrogateescape")
        return row_of({self._column: text}, text)


class LineFormat:
    """A line a row: its text, or why there is none."""

    def part(self, window: Window, answers: Sequence[Answer]) -> bytes:
        """Return one line for each answer."""
        return "".join(
            f"{answer.text if answer.fault is None else f'[error: {answer.fault}]'}\n" for answer in answers
        ).encode()

    def join(self, parts: Iterable[IO[bytes]], file: IO[bytes]) -> None:
        """Write the parts one behind the other."""
        for part in parts:
            shutil.copyfileobj(part, file)


def too_long() -> str:
    """Return the fault of a line of more than `LONGEST` bytes."""
    return f"longer than {LONGEST // 2**20} MB"
