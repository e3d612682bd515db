"""A folder of tables: which of its files belong to which split, told by their names alone."""

import os
import re
from pathlib import Path

from textbox_elmer.errors import UserError

READERS = {".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet"}
# What a file's name, or that of a folder around it, says of its split: train.csv, data/dev-00001.csv, test/1.csv.
WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
# What the hub's folders hold beside their tables.
NO_TABLES = frozenset(("config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json"))


def files_by_split(folder: Path) -> dict[str, list[Path]]:
    """Return the tables of a folder and of the folders in it, by "train", "validation" and "test".

    Where no name tells a split, all are "train"; where some do, those that do not are left out. Nothing that a file
    says of others counts, and what is hidden is passed over.

    Raises:
        UserError: there is none, or one is a link to elsewhere or no regular file.
    """
    found = [path for path in _files(folder) if path.suffix.lower() in READERS and path.name not in NO_TABLES]
    for path in found:
        _check(path, folder)
    splits: dict[str, list[Path]] = {}
    for name in WORDS:
        if paths := [path for path in found if _split(path.relative_to(folder)) == name]:
            splits[name] = paths
    if not found:
        raise UserError(f"{str(folder)!r} holds no table: put files there that end in {', '.join(READERS)}.")
    return splits or {"train": found}


def _files(folder: Path) -> list[Path]:
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__"))]
        found += [Path(root) / name for name in names if not name.startswith(".")]
    return sorted(found)


def _check(path: Path, folder: Path) -> None:
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{str(path)!r} is a link that leads out of {str(folder)!r}: put the file itself there.")
    if not path.is_file():
        raise UserError(f"{str(path)!r} is no regular file: remove it from the folder.")


def _split(path: Path) -> str | None:
    for part in path.with_suffix("").parts:
        words = re.split(r"[-._ 0-9]+", part.lower())
        for split, names in WORDS.items():
            if not set(names).isdisjoint(words):
                return split
    return None
