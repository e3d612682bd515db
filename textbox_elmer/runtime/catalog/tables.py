"""Opening a table of the hub, or one that lies here as CSV, TSV, JSON, JSON lines or Parquet."""

import csv
import errno
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
from huggingface_hub import constants
from pyarrow import ArrowException

from textbox_elmer.runtime.errors import UserError
from textbox_elmer.runtime.hub import hub_arguments, hub_endpoint
from textbox_elmer.terminal import reason_of

READERS = {".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet"}


def open_table(table: str, is_file: bool) -> datasets.DatasetDict:
    """Return a table's splits.

    Args:
        table: the path of a file, or of a folder of such files (train.csv, test.csv …), or a dataset's name on the hub,
            `owner/name` or `owner/name:configuration`.
        is_file: whether only a path is meant; otherwise a path that exists goes before the hub.

    Raises:
        UserError: it is not there, cannot be reached, or cannot be read.
    """
    path = Path(table)
    if is_file and not path.exists():
        raise UserError(f"There is no file or folder {table!r}: check --file.")
    with _explained(table):
        if path.is_file():
            return _open_file(path)
        if path.is_dir():
            return _open_folder(path)
        return _open_hub(table)


def _open_file(path: Path) -> datasets.DatasetDict:
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{str(path)!r} is no table that can be read: it must end in {', '.join(READERS)}.")
    options = _csv_options([path]) if reader == "csv" else {}
    return datasets.load_dataset(reader, data_files={"train": str(path)}, **options)


def _open_folder(folder: Path) -> datasets.DatasetDict:
    files = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in READERS]
    all_csv = files and all(READERS[path.suffix.lower()] == "csv" for path in files)
    return datasets.load_dataset(str(folder), **(_csv_options(files) if all_csv else {}))


def _csv_options(files: Sequence[Path]) -> dict[str, Any]:
    """Return what makes pandas read every cell as the text that it is: it takes 007 for 7, and NA for nothing."""
    separator = "\t" if files[0].suffix.lower() == ".tsv" else ","
    columns: set[str] = set()
    for path in files:
        with path.open(encoding="utf-8-sig", newline="") as file:
            columns.update(next(csv.reader(file, delimiter=separator), []))
    converters = dict.fromkeys(sorted(columns), str)
    return {"sep": separator, "converters": converters, "keep_default_na": False, "na_filter": False}


def _open_hub(table: str) -> datasets.DatasetDict:
    name, _, configuration = table.partition(":")
    if hub_arguments(name) and not constants.HF_HUB_OFFLINE:
        raise UserError(
            f"There is no file or folder {table!r}, and {hub_endpoint()} does not answer: check the name, or connect."
        )
    return datasets.load_dataset(name, configuration or None)


@contextmanager
def _explained(table: str) -> Iterator[None]:
    """Turn what the libraries raise and log over a table into one sentence; bars are for terminals alone."""
    verbosity, bars = datasets.logging.get_verbosity(), datasets.are_progress_bars_disabled()
    datasets.logging.set_verbosity(sys.maxsize)
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        yield
    except (datasets.exceptions.DatasetsError, ArrowException, OSError, ValueError, RuntimeError, csv.Error) as error:
        cause = error.__cause__ or error
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            raise cause from None
        reason = reason_of(cause)
        raise UserError(f"{table!r} cannot be read as a table: {reason.rstrip('.')}.") from None
    finally:
        datasets.logging.set_verbosity(verbosity)
        if not bars:
            datasets.enable_progress_bars()
