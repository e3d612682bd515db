"""Long work that is kept in a hidden folder: going on with what was begun, and with nothing else."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textbox_elmer.errors import UserError
from textbox_elmer.files import write_atomically
from textbox_elmer.reading import read_json


def begin_or_continue(staging: Path, file: str, identity: Mapping[str, Any]) -> None:
    """Make the hidden folder and write down what is begun in it, or make sure that this is what was.

    Args:
        staging: the folder.
        file: what the record in it is called.
        identity: all that decides what will be written, as JSON values, by the names that the user knows them by.

    Raises:
        UserError: something else was begun here, or nothing says what.
        OSError: the folder or the record cannot be written.
    """
    if staging.is_symlink():
        raise UserError(f"{str(staging)!r} is a link, so nothing is written there: {_anew(staging)}.")
    staging.mkdir(parents=True, exist_ok=True)
    path, known = staging / file, json.loads(json.dumps(dict(identity)))
    begun = _read(path)
    if begun is None and all(other.name.endswith(".new") for other in staging.iterdir()):
        write_atomically(path, json.dumps(known, indent=2))
    elif begun is None:
        raise UserError(f"{str(path)!r} is missing or damaged, so nothing says what was begun: {_anew(staging)}.")
    elif differing := [key for key in {**known, **begun} if known.get(key) != begun.get(key)]:
        raise UserError(
            f"{str(staging)!r} holds what was begun with another {' and another '.join(differing)}: repeat that "
            f"command to go on with it, or {_anew(staging)}."
        )


def _anew(staging: Path) -> str:
    return f"delete {str(staging)!r} to begin anew"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        identity = read_json(path)
    except (FileNotFoundError, ValueError):
        return None
    return identity if isinstance(identity, dict) else None
