"""Parquet, whose other columns stay as they are."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pyarrow
from pyarrow import parquet

from textbox_elmer.errors import UserError
from textbox_elmer.inference.tables.rows import (
    ERROR,
    ROWS,
    Answer,
    NewColumns,
    Row,
    Window,
    check_column,
    check_free,
    row_of,
)
from textbox_elmer.terminal import reason_of

TEXT = pyarrow.string()
DETAILS = {
    "tokens": pyarrow.list_(TEXT),
    "scores": pyarrow.list_(pyarrow.float64()),
    "exit_layers": pyarrow.list_(pyarrow.int32()),
    "settled_layers": pyarrow.list_(pyarrow.int32()),
    "vertices": pyarrow.list_(pyarrow.int32()),
    "copied": pyarrow.list_(pyarrow.bool_()),
    "ms": pyarrow.float64(),
}
ROW_GROUP = 2**26  # bytes


class ParquetTable:
    """A parquet file with a column of texts.

    Attributes:
        schema: of all its columns.

    Raises:
        UserError: it is none or cannot be read, has no rows, or its columns are not what they should be.
    """

    def __init__(self, path: Path, column: str, new: NewColumns) -> None:
        self.name, self._path, self._column = repr(str(path)), path, column
        with self._opened() as file:
            self.schema: pyarrow.Schema = file.schema_arrow
            self._rows = file.metadata.num_rows
        check_column(self.name, self.schema.names, column)
        check_free(self.name, self.schema.names, new)
        kind = self.schema.field(column).type
        if pyarrow.types.is_dictionary(kind):
            kind = kind.value_type
        if not (pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)):
            raise UserError(f"{self.name} has no texts in its column {column!r}, but {kind}: give another --column.")
        if not self._rows:
            raise UserError(f"{self.name} is empty: there is no text in it.")

    def count(self) -> int:
        """Return the number of rows."""
        return self._rows

    def windows(self) -> Iterator[Window]:
        """Yield the rows."""
        with self._opened() as file:
            for batch in file.iter_batches(ROWS):
                yield Window(rows_of_texts(batch.column(self._column)), batch)

    @contextmanager
    def _opened(self) -> Iterator[parquet.ParquetFile]:
        try:
            # Read as a stream and not mapped: pages of a map would count as this process's memory.
            with parquet.ParquetFile(self._path, pre_buffer=False, buffer_size=1 << 20) as file:
                yield file
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:  # the last of a column's name
            raise UserError(
                f"{self.name} is damaged or no parquet file ({reason_of(error)}): give another --input."
            ) from None


class ParquetFormat:
    """A table's columns, then those of the answers.

    Args:
        schema: of the columns that are there already.
    """

    def __init__(self, schema: pyarrow.Schema, new: NewColumns) -> None:
        self._new, self._schema = new, schema
        for field, _ in added_columns(new, ()):
            self._schema = self._schema.append(field)

    def part(self, window: Window, answers: Sequence[Answer]) -> bytes:
        """Return the rows as an Arrow stream."""
        added = [values for _, values in added_columns(self._new, answers)]
        assert window.batch is not None
        batch = pyarrow.RecordBatch.from_arrays([*window.batch.columns, *added], schema=self._schema)
        sink = pyarrow.BufferOutputStream()
        with pyarrow.ipc.new_stream(sink, self._schema) as stream:
            stream.write_batch(batch)
        return sink.getvalue().to_pybytes()

    def join(self, parts: Iterable[IO[bytes]], file: IO[bytes]) -> None:
        """Write the parts as a parquet file, in groups of rows of about 64 MB."""
        with parquet.ParquetWriter(file, self._schema) as writer:
            waiting: list[pyarrow.Table] = []
            for part in parts:
                waiting.append(pyarrow.ipc.open_stream(part.read()).read_all())
                if sum(table.nbytes for table in waiting) >= ROW_GROUP:
                    _write(writer, waiting)
            if waiting:
                _write(writer, waiting)


def _write(writer: parquet.ParquetWriter, waiting: list[pyarrow.Table]) -> None:
    table = pyarrow.concat_tables(waiting)
    writer.write_table(table, row_group_size=max(len(table), 1))
    waiting.clear()


def rows_of_texts(texts: pyarrow.Array | pyarrow.ChunkedArray) -> list[Row]:
    """Return a column's texts as rows without other values; they may be a dictionary's."""
    if pyarrow.types.is_dictionary(texts.type):
        texts = texts.cast(texts.type.value_type)
    # As bytes: a file may say of anything that it is UTF-8.
    return [_row(value) for value in texts.cast(pyarrow.large_binary()).to_pylist()]


def added_columns(new: NewColumns, answers: Sequence[Answer]) -> Iterator[tuple[pyarrow.Field, pyarrow.Array]]:
    """Yield the columns that answers add, each with its name and type."""
    types = {new.generated: TEXT, ERROR: TEXT, **{name: DETAILS[name] for name in new.details}}
    found = [new.values(answer) for answer in answers]
    for name, kind in types.items():
        yield pyarrow.field(name, kind), pyarrow.array([values[name] for values in found], kind)


def _row(value: bytes | None) -> Row:
    return row_of({}, None if value is None else value.decode("utf-8", "surrogateescape"))
