"""Files of a JSON object a line."""

import codecs
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from textbox_elmer.inference.tables.lines import LineFormat, too_long
from textbox_elmer.inference.tables.rows import (
    HEAD,
    LONGEST,
    Answer,
    NewColumns,
    Row,
    Window,
    check_column,
    check_free,
    check_text,
    count_lines,
    is_unicode,
    lines_of,
    opened,
    row_of,
    windows_of,
)


class JsonTable:
    """A JSON object a line; blank lines are none.

    Raises:
        UserError: the file cannot be read, is empty or no text.
    """

    def __init__(self, path: Path, column: str, new: NewColumns) -> None:
        self.name, self._path, self._column, self._new = repr(str(path)), path, column, new
        with opened(path) as file:
            check_text(self.name, file.read(HEAD))

    def count(self) -> int:
        """Return the number of lines, blank ones too."""
        return count_lines(self._path)

    def windows(self) -> Iterator[Window]:
        """Yield the objects; the first window shows whether the columns are what they should be."""
        with opened(self._path) as file:
            rows = ((self._row(line), len(line)) for line in lines_of(file) if line.strip(b" \t\r\n" + codecs.BOM_UTF8))
            for place, window in enumerate(windows_of(rows)):
                if place == 0:
                    self._check(window)
                yield window

    def _check(self, window: Window) -> None:
        present = dict.fromkeys(name for row in window.rows for name in row.values)
        if present:
            check_column(self.name, present, self._column)
        check_free(self.name, present, self._new)

    def _row(self, line: bytes) -> Row:
        if len(line) > LONGEST:
            return Row({}, None, too_long())
        try:
            text = line.removeprefix(codecs.BOM_UTF8).decode("utf-8").strip()
        except UnicodeDecodeError:
            return Row({}, None, "not UTF-8 text")
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            return Row({}, None, "no JSON object")
        if self._column not in values:
            return Row(values, None, f"no column {self._column!r}", text)
        return row_of(values, values[self._column], text)


class JsonFormat(LineFormat):
    """A JSON object a line: the row's own columns, an object's as they were written, then those of its answer."""

    def __init__(self, new: NewColumns) -> None:
        self._new = new

    def part(self, window: Window, answers: Sequence[Answer]) -> bytes:
        """Return one object for each row."""
        rows = zip(window.rows, answers, strict=True)
        return b"".join(_line(row, self._new.values(answer)) for row, answer in rows)


def _line(row: Row, added: dict[str, Any]) -> bytes:
    ours = _dumped(row.values) if row.json is None else row.json
    begun = ours.removesuffix("}").rstrip()
    comma = "" if begun.endswith("{") else ", "
    return f"{begun}{comma}{_dumped(added).removeprefix('{')}\n".encode()


def _dumped(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, ensure_ascii=False)
    # What cannot be encoded, a byte that is no UTF-8, JSON can write as an escape.
    return text if text.isascii() or is_unicode(text) else json.dumps(values)
