"""Opening a table of the hub, or one that lies here as CSV, TSV, JSON, JSON lines or Parquet."""

import csv
import errno
import glob
import os
import pkgutil
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
from datasets.utils.extract import Extractor
from huggingface_hub import constants
from pyarrow import ArrowException

from textbox_elmer.datasets.table_folder import READERS, files_by_split
from textbox_elmer.errors import UserError
from textbox_elmer.hub import hub_arguments, hub_endpoint
from textbox_elmer.terminal import reason_of

HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?(:[^:/]+)?")


def open_table(table: str, is_file: bool, place: Path) -> datasets.DatasetDict:
    """Return a table's splits.

    Args:
        table: the path of a file, or of a folder of such files (train.csv, test.csv …), or a dataset's name on the hub,
            `owner/name` or `owner/name:configuration`.
        is_file: whether only a path is meant; otherwise a path that exists goes before the hub.
        place: an empty folder for what reading a file takes; it is needed as long as the splits are.

    Raises:
        UserError: it is not there, cannot be reached, or cannot be read.
    """
    path = Path(table)
    with _explained(table):
        if path.is_file():
            return _open_files({"train": [path]}, place)
        if path.is_dir():
            return _open_files(files_by_split(path), place)
        if os.path.lexists(path):
            raise UserError(f"{table!r} is neither a file nor a folder: check --file.")
        if is_file:
            raise UserError(f"There is no file or folder {table!r}: check --file.")
        return _open_hub(table)


def _open_files(splits: Mapping[str, Sequence[Path]], place: Path) -> datasets.DatasetDict:
    files = [path for paths in splits.values() for path in paths]
    kinds = {_kind(path) for path in files}
    if len(kinds) > 1:
        raise UserError(f"{str(files[0].parent)!r} holds tables of different kinds: name one file, or leave one kind.")
    ((reader, separator),) = kinds
    for path in files:
        if reader != "parquet" and Extractor.infer_extractor_format(path):
            raise UserError(f"{str(path)!r} is an archive or compressed: unpack it first.")
    options = _csv_options(files, separator) if reader == "csv" else {}
    # The library takes a path for a pattern, a URL or a chain of both: it gets names that are none of these.
    names = {path: f"{number}{path.suffix}" for number, path in enumerate(files)}
    for path, name in names.items():
        (place / name).symlink_to(path.resolve())
    folder = glob.escape(str(place.resolve()))
    return datasets.load_dataset(
        reader,
        data_files={split: [f"{folder}/{names[path]}" for path in paths] for split, paths in splits.items()},
        cache_dir=str(place / "cache"),
        **options,
    )


def _kind(path: Path) -> tuple[str, str]:
    """Return what reads a file, and what stands between its columns if they are text."""
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise UserError(f"{str(path)!r} is no table that can be read: it must end in {', '.join(READERS)}.")
    return READERS[suffix], "\t" if suffix == ".tsv" else ","


def _csv_options(files: Sequence[Path], separator: str) -> dict[str, Any]:
    """Return what makes pandas read every cell as the text that it is: it takes 007 for 7, and NA for nothing."""
    columns: set[str] = set()
    for path in files:
        with path.open(encoding="utf-8-sig", newline="") as file:
            columns.update(next(csv.reader(file, delimiter=separator), []))
    converters = dict.fromkeys(sorted(columns), str)
    return {"sep": separator, "converters": converters, "keep_default_na": False, "na_filter": False}


def _open_hub(table: str) -> datasets.DatasetDict:
    # The library takes its readers' names for orders to read the working folder, "pandas" for one to load pickles.
    readers = {module.name for module in pkgutil.iter_modules(datasets.packaged_modules.__path__)}
    if not HUB_NAME.fullmatch(table) or table.partition(":")[0] in readers:
        raise UserError(f"{table!r} is no file or folder here, and no dataset's name on the hub, such as owner/name.")
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
        raise UserError(f"{table!r} cannot be read as a table: {reason_of(cause).rstrip('.')}.") from None
    finally:
        datasets.logging.set_verbosity(verbosity)
        if not bars:
            datasets.enable_progress_bars()
