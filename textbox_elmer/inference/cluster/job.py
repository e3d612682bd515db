"""What a cluster reads and writes, checked before a model is loaded."""

from pathlib import Path

from textbox_elmer.errors import UserError
from textbox_elmer.inference.job import Job, Source, refuse_existing
from textbox_elmer.inference.tables.columnar import ParquetFormat, ParquetTable
from textbox_elmer.inference.tables.opening import PARQUET, files_of, kind_of
from textbox_elmer.inference.tables.rows import NewColumns

# Columns that a cluster adds to those of the answers: a row's name (as Ray makes it, of its file and its place in it),
# by which it is done once, and how many tokens of its text were not read.
ROW_HASH, CUT = "row_hash", "cut"


def open_cluster_job(path: Path | None, output: Path | None, column: str, new: NewColumns) -> Job:
    """Open the parquet files that a cluster is to answer into a folder of such.

    Args:
        path: a file or a folder of files, which all machines see under this path.
        output: the folder that is made, which they see, too.
        column, new: the column of the texts, and those that are added.

    Raises:
        UserError: one of both is not given, a file is of another kind or cannot be read, the files' columns are not
            the same or not what they should be, or the output is there.
    """
    if path is None or output is None:
        raise UserError("--engine=ray needs --input=… and --output=…: a cluster has no standard input or output.")
    refuse_existing(output)
    tables: list[ParquetTable] = []
    sources = []
    for file in files_of(path.absolute()):
        if file is None or kind_of(file) != PARQUET:
            raise UserError(f"--engine=ray reads {PARQUET} files alone, which {str(file)!r} is not: convert it.")
        table = ParquetTable(file, column, new)
        if taken := {ROW_HASH, CUT}.intersection(table.schema.names):
            raise UserError(
                f"{table.name} has a column {taken.pop()!r} already, where --engine=ray puts its own: rename it."
            )
        if tables and not table.schema.equals(tables[0].schema):
            raise UserError(f"{table.name} has not the columns of {tables[0].name}: give files that are alike.")
        tables.append(table)
        sources.append(Source(file, table, ParquetFormat(table.schema, new)))
    return Job(sources, output.absolute(), True, column, new)
