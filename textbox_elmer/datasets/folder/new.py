"""A new dataset's folder: under a name that is free and no other process works on, and there when it is complete."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from textbox_elmer.errors import UserError
from textbox_elmer.files import workspace, writing

LONGEST_NAME = 200  # bytes: file systems take 255, and hidden files beside the dataset have longer ones
# What helps where a dataset cannot be made.
ELSEWHERE = "choose another name or --data_path"


def check_name(name: str) -> None:
    """Raise a UserError if no new dataset can be called so."""
    if not re.fullmatch(r"\w[\w.-]*", name) or len(os.fsencode(name)) > LONGEST_NAME:
        raise UserError(
            f"{name!r} cannot be a dataset's name: use at most {LONGEST_NAME} letters, digits, '-', '_' and '.'."
        )


def refuse_existing(folder: Path) -> None:
    """Raise a UserError if there is already something where a dataset is to appear."""
    if os.path.lexists(folder):
        raise UserError(
            f"{str(folder)!r} is here already and nothing in it is overwritten: move it elsewhere first, "
            f"or look at it with `python -m textbox_elmer data check {folder.name}`."
        )


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Hold a dataset's name and lend a hidden folder beside `folder` to make it in, as `workspace` does.

    Raises:
        UserError: another process is making it, or a file or folder cannot be written.
    """
    with writing(folder, ELSEWHERE), workspace(folder, ELSEWHERE) as staging:
        yield staging
