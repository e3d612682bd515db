"""Reading the texts of one file, from the start or from a place noted earlier, in memory that does not grow with it."""

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow
from pyarrow import parquet

from textbox_elmer.errors import UserError
from textbox_elmer.files import open_regular
from textbox_elmer.reading import parse_json
from textbox_elmer.terminal import reason_of
from textbox_elmer.text.lines import parse_line

LONGEST_LINE = 1_000_000  # bytes
ROWS_AT_ONCE = 256
FIELD = "text"
A_LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True)
class Place:
    """Where a text lies in its file.

    Attributes:
        position: the byte where its line begins, or in a parquet file its row group.
        offset: in a parquet file its row within the group.
        line: its line or row in the file, from 1.
    """

    position: int
    offset: int
    line: int


START = Place(0, 0, 1)


def read_texts(path: Path, start: Place = START) -> Iterator[tuple[Place, str]]:
    """Yield a file's texts with their places, from `start` on.

    `.src` is read as TextBox's sources are, `.txt` line by line, `.jsonl` and `.parquet` by their field `text`.

    Raises:
        UserError: the file, or a line of it, cannot be read; names both.
    """
    if path.suffix == ".parquet":
        yield from _rows(path, start)
        return
    parse = {".src": _source_line, ".jsonl": _json_line}.get(path.suffix, _plain_line)
    yield from _lines(path, start, parse)


def is_usable(text: str) -> bool:
    """Say whether there is anything to learn from a text: whether it holds a letter."""
    return A_LETTER.search(text) is not None


def _lines(path: Path, start: Place, parse: Callable[[str, str], str]) -> Iterator[tuple[Place, str]]:
    position, number = start.position, start.line
    try:
        with open_regular(path) as file:
            file.seek(position)
            while line := file.readline(LONGEST_LINE + 1):
                if len(line) > LONGEST_LINE:
                    raise UserError(
                        f"{str(path)!r}, line {number}, is longer than {LONGEST_LINE / 1e6:g} MB, too long for one "
                        "text: write one text a line."
                    )
                try:
                    text = line.removeprefix(codecs.BOM_UTF8).decode("utf-8").strip()
                except UnicodeDecodeError:
                    raise UserError(
                        f"{str(path)!r}, line {number}, is not UTF-8 text: save the file as UTF-8, or leave it out "
                        "with --skip_bad_files=True."
                    ) from None
                if text:
                    yield Place(position, 0, number), parse(text, f"{str(path)!r}, line {number},")
                position, number = position + len(line), number + 1
    except OSError as error:
        raise UserError(f"{str(path)!r} cannot be read ({error.strerror}): make it a readable file.") from None


def _plain_line(line: str, where: str) -> str:
    return line


def _source_line(line: str, where: str) -> str:
    text = parse_line(line)
    return text if isinstance(text, str) else line


def _json_line(line: str, where: str) -> str:
    try:
        value = parse_json(line)
    except ValueError:
        value = None
    text = value.get(FIELD) if isinstance(value, dict) else None
    if not isinstance(text, str):
        raise UserError(
            f'{where} is not a JSON object with a text, {{"{FIELD}": "…"}}: correct it, or leave the file out with '
            "--skip_bad_files=True."
        )
    # A lone surrogate, which JSON can write, is no text that a tokenizer takes.
    return text.encode("utf-8", "replace").decode("utf-8").strip()


def _rows(path: Path, start: Place) -> Iterator[tuple[Place, str]]:
    try:
        # Read as a stream and not mapped: pages of a map would count as this process's memory.
        with parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
            if FIELD not in file.schema_arrow.names:
                raise UserError(
                    f"{str(path)!r} has no column {FIELD!r}, but {', '.join(map(repr, file.schema_arrow.names[:5]))}: "
                    f"name the column of texts {FIELD!r}."
                )
            line, offset = start.line, start.offset
            for group in range(start.position, file.num_row_groups):
                row = 0
                for batch in file.iter_batches(ROWS_AT_ONCE, row_groups=[group], columns=[FIELD]):
                    texts = batch.column(0)
                    for text in texts.slice(max(offset - row, 0)).to_pylist() if row + len(texts) > offset else ():
                        if isinstance(text, str) and text.strip():
                            yield Place(group, offset, line), text.strip()
                        offset, line = offset + 1, line + 1
                    row += len(texts)
                offset = 0
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:  # the last of a column's name
        reason = reason_of(error)
        raise UserError(
            f"{str(path)!r} is damaged or no parquet file ({reason}): replace it, or leave it out with "
            "--skip_bad_files=True."
        ) from None
