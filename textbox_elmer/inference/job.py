"""What one call of `generate` reads and writes, checked before a model is loaded."""

import os
from dataclasses import dataclass
from pathlib import Path

from textbox_elmer.errors import UserError
from textbox_elmer.inference.tables.opening import (
    JSON,
    LINES,
    PARQUET,
    files_of,
    format_of,
    kind_of,
    open_table,
)
from textbox_elmer.inference.tables.rows import Format, NewColumns, Table


@dataclass(frozen=True)
class Source:
    """One file to be answered.

    Attributes:
        path: where it lies; None is standard input.
        table: its rows.
        format: how their answers are written.
    """

    path: Path | None
    table: Table
    format: Format


@dataclass(frozen=True)
class Job:
    """Texts to be answered, and where to.

    Attributes:
        sources: the files.
        output: a file, or of a folder of files a folder; None is standard output.
        is_folder: which of both it is.
        column, new: the column of the texts, and those that are added.
    """

    sources: list[Source]
    output: Path | None
    is_folder: bool
    column: str
    new: NewColumns


def open_job(path: Path | None, output: Path | None, column: str, new: NewColumns, is_first: bool = True) -> Job:
    """Open what is to be read, and find out how its answers are written.

    Args:
        path: a file, a folder of files, or None for standard input.
        output: where to; None for standard output.
        column, new: the column of the texts, and those that are added.
        is_first: whether this is the process that makes the output, which must not be there then.

    Raises:
        UserError: the input cannot be read or lacks the column, the output is there or does not suit the input.
    """
    files = files_of(path)
    is_folder = path is not None and path.is_dir()
    if is_first and output is not None:
        refuse_existing(output)
    if output is None and is_folder:
        raise UserError(f"The answers to the folder {str(path)!r} need a folder of their own: give --output=….")
    sources = []
    for file in files:
        kind = _kind_of_answers(file, output, is_folder, bool(new.details))
        table = open_table(file, column, new)
        sources.append(Source(file, table, format_of(table, kind, new)))
    return Job(sources, output, is_folder, column, new)


def refuse_existing(output: Path) -> None:
    """Raise a UserError if there is something already where answers are to appear."""
    if os.path.lexists(output):
        raise UserError(
            f"{str(output)!r} is here already and is not overwritten: give another --output, or delete it first."
        )


def _kind_of_answers(file: Path | None, output: Path | None, is_folder: bool, detailed: bool) -> str:
    kind = kind_of(file)
    if output is None or is_folder:
        if kind == PARQUET and not is_folder:
            raise UserError(f"The answers to {str(file)!r} need a file of their own: give --output=….parquet.")
        wanted = JSON if kind == LINES and detailed else kind
    else:
        wanted = kind_of(output)
    allowed = (PARQUET,) if kind == PARQUET else tuple(dict.fromkeys((kind, JSON)))
    if wanted not in allowed:
        raise UserError(f"The answers to a {kind} file are {' or '.join(allowed)}: let the name of --output end so.")
    if wanted == LINES and detailed:
        raise UserError("Lines of text have no place for details: give an --output that ends in .jsonl.")
    return wanted
