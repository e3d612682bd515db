"""From paths to tables, and to the formats that their answers are written in."""

from collections.abc import Sequence
from pathlib import Path

from textbox_elmer.errors import UserError
from textbox_elmer.inference.tables.columnar import ParquetFormat, ParquetTable
from textbox_elmer.inference.tables.json_lines import JsonFormat, JsonTable
from textbox_elmer.inference.tables.lines import LineFormat, LineTable
from textbox_elmer.inference.tables.rows import Format, NewColumns, Table
from textbox_elmer.inference.tables.separated import SeparatedFormat, SeparatedTable

LINES, JSON, PARQUET = ".txt", ".jsonl", ".parquet"
KINDS = (LINES, JSON, ".csv", ".tsv", PARQUET)


def files_of(path: Path | None) -> Sequence[Path | None]:
    """Return the files that an --input names: itself, or of a folder those of a kind that can be read, by name.

    None is standard input.

    Raises:
        UserError: there is none, or it is of another kind.
    """
    if path is not None and path.is_dir():
        files = [file for file in sorted(path.iterdir()) if file.is_file() and file.name[0] != "."]
        found = [file for file in files if kind_of(file) in KINDS]
        if not found:
            raise UserError(f"The folder {str(path)!r} holds no file of texts ({', '.join(KINDS)}): give another.")
        return found
    if path is not None and not path.exists():
        raise UserError(f"There is no file or folder {str(path)!r}: check --input.")
    if path is not None and kind_of(path) not in KINDS:
        raise UserError(f"{str(path)!r} is no file of texts that can be read: its name ends in {', '.join(KINDS)}.")
    return [path]


def kind_of(path: Path | None) -> str:
    """Return a file's kind by the end of its name; standard input is lines."""
    return LINES if path is None else path.suffix.lower()


def open_table(path: Path | None, column: str, new: NewColumns) -> Table:
    """Open a file of texts, or standard input.

    Args:
        column: which one holds the texts, where there are several.
        new: those that answers will add.

    Raises:
        UserError: it cannot be read, is empty or damaged, lacks the column, or has one of the new ones.
    """
    kind = kind_of(path)
    if path is None or kind == LINES:
        return LineTable(path, column)
    if kind == JSON:
        return JsonTable(path, column, new)
    return (ParquetTable if kind == PARQUET else SeparatedTable)(path, column, new)


def format_of(table: Table, kind: str, new: NewColumns) -> Format:
    """Return how a table's answers are written as `kind`: its own, or JSON lines."""
    if isinstance(table, ParquetTable):
        return ParquetFormat(table.schema, new)
    if kind == JSON:
        return JsonFormat(new)
    if isinstance(table, SeparatedTable):
        return SeparatedFormat(table.columns, new, table.delimiter)
    return LineFormat()
