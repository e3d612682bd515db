"""CSV and TSV."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from textbox_elmer.errors import UserError
from textbox_elmer.inference.tables.lines import LineFormat
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
    opened,
    row_of,
    windows_of,
)

ESCAPED = "surrogateescape"  # bytes that are no UTF-8 are written again as they were


class SeparatedTable:
    """A header, then a row of fields each; blank lines are none.

    Attributes:
        columns: the header.
        delimiter: what stands between fields.

    Raises:
        UserError: the file cannot be read, is empty or no text, or its header lacks a column or has one twice.
    """

    def __init__(self, path: Path, column: str, new: NewColumns) -> None:
        self.name, self._path, self._column = repr(str(path)), path, column
        self.delimiter = _delimiter_of(path)
        with opened(path) as file:
            check_text(self.name, file.read(HEAD))
        self.columns: list[str] = next(self._records(), [])
        if twice := [name for name in self.columns if self.columns.count(name) > 1]:
            raise UserError(f"{self.name} has the column {twice[0]!r} twice: rename one.")
        check_column(self.name, self.columns, column)
        check_free(self.name, self.columns, new)

    def count(self) -> int:
        """Return the number of lines, of which a row may have several."""
        return count_lines(self._path) - 1

    def windows(self) -> Iterator[Window]:
        """Yield the rows behind the header."""
        records = self._records()
        next(records)
        yield from windows_of((self._row(fields), sum(map(len, fields))) for fields in records)

    def _row(self, fields: list[str]) -> Row:
        padded = fields + [""] * (len(self.columns) - len(fields))
        values = dict(zip(self.columns, padded, strict=False))
        if len(fields) > len(self.columns):
            return Row(values, None, f"{len(fields)} fields under {len(self.columns)} columns")
        return row_of(values, values[self._column])

    def _records(self) -> Iterator[list[str]]:
        csv.field_size_limit(LONGEST)
        with opened(self._path) as file:
            text = io.TextIOWrapper(file, encoding="utf-8-sig", errors=ESCAPED, newline="")
            reader = csv.reader(self._lines(text), delimiter=self.delimiter)
            try:
                yield from filter(None, reader)
            except csv.Error as error:
                raise UserError(
                    f"{self.name}, line {reader.line_num}, is none of such a table ({error}): close its quotes."
                ) from None

    def _lines(self, text: IO[str]) -> Iterator[str]:
        while line := text.readline(LONGEST + 1):
            if len(line) > LONGEST:
                raise csv.Error(f"more than {LONGEST // 2**20} MB without a line's end")
            yield line


class SeparatedFormat(LineFormat):
    """A header, then the rows' own fields and those of their answers; lists as JSON."""

    def __init__(self, columns: Sequence[str], new: NewColumns, delimiter: str) -> None:
        self._columns, self._new, self._delimiter = columns, new, delimiter

    def part(self, window: Window, answers: Sequence[Answer]) -> bytes:
        """Return one record for each row."""
        rows = zip(window.rows, answers, strict=True)
        return self._written(
            [*(row.values[name] for name in self._columns), *map(_field, self._new.values(answer).values())]
            for row, answer in rows
        )

    def join(self, parts: Iterable[IO[bytes]], file: IO[bytes]) -> None:
        """Write the header and the parts."""
        file.write(self._written([[*self._columns, *self._new.names]]))
        super().join(parts, file)

    def _written(self, records: Iterable[Sequence[str]]) -> bytes:
        text = io.StringIO()
        csv.writer(text, delimiter=self._delimiter, lineterminator="\n").writerows(records)
        return text.getvalue().encode("utf-8", ESCAPED)


def _delimiter_of(path: Path) -> str:
    """Return what separates the fields of a .csv or .tsv file."""
    return "\t" if path.suffix.lower() == ".tsv" else ","


def _field(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
