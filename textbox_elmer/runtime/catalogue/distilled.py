"""What a distilled dataset's folder says of itself, `distill.json`; a dataset's settings hold for its distillations."""

import os
from pathlib import Path
from typing import Any

from textbox_elmer.errors import UserError
from textbox_elmer.reading import read_json

RECORD = "distill.json"


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return what a dataset's distill.json says: `dataset` names the one that was distilled; None where there is none.

    Raises:
        UserError: the file is damaged.
    """
    path = folder / RECORD
    if not os.path.isfile(path):  # unlike Path.is_file, this raises nothing for an overlong name
        return None
    try:
        record = read_json(path)
        if isinstance(record["dataset"], str):
            return record
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise UserError(
        f"{str(path)!r} is damaged, so that nothing says whose settings hold for {folder.name!r}: distill it anew, or "
        "delete that file and give the settings yourself."
    )


def names_of_settings(data_path: Path, dataset: str) -> list[str]:
    """Return the datasets whose settings hold for one, best first: itself, what it was distilled from, and so on.

    Raises:
        UserError: a damaged distill.json.
    """
    names = [dataset]
    while (record := read_record(data_path / names[-1])) and record["dataset"] not in names:
        names.append(record["dataset"])
    return names
