"""Getting a dataset that TextBox has published: `data get`."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from textbox_elmer.datasets.counting import count_examples, describe_counts
from textbox_elmer.datasets.download import download, look_up, part_of
from textbox_elmer.datasets.unpack import unpack
from textbox_elmer.errors import UserError
from textbox_elmer.files import held, put, workspace, writing
from textbox_elmer.runtime.catalogue.datasets import published_dataset

LONGEST_NAME = 200  # bytes: file systems take 255, and hidden files beside the dataset have longer ones
# What helps where a dataset cannot be made.
ELSEWHERE = "choose another name or --data_path"


def get_dataset(name: str, data_path: Path, max_gb: float) -> str:
    """Download and unpack a dataset into `data_path/name`, which appears when it is complete.

    Args:
        name: one of TextBox's names.
        data_path: where datasets lie.
        max_gb: most gigabytes (10^9 bytes) of the archive, and of what it unpacks to.

    Returns:
        what there is now, for the user.

    Raises:
        UserError: unknown, here already, out of reach, too large, damaged or hostile, or not to be written.
    """
    known = published_dataset(name)
    folder, limit = data_path / name, int(max_gb * 1e9)
    refuse_existing(folder)
    published = look_up(known.repository, known.archive)
    if published.size > limit:
        raise UserError(
            f"{published.name} has {published.size / 1e9:.3g} GB, more than {max_gb:g}: give a larger --max_gb."
        )
    with new_folder(folder) as staging, held(part_of(published, data_path), "get another dataset meanwhile"):
        refuse_existing(folder)
        archive = download(published, data_path)
        try:
            unpacked = unpack(archive, staging, limit)
        except UserError as error:
            archive.unlink()
            raise UserError(f"{published.name} of {known.repository} was not unpacked. {error}") from None
        if known.reversed:
            _swap_sides(unpacked)
        put(unpacked, folder)
        archive.unlink()
    counts = count_examples(folder)
    report = f"{folder}: {describe_counts(counts)} examples from {known.repository}."
    return report if counts["test"] is not None else f"{report} It has no test split: run with --do_test=False."


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


def _swap_sides(folder: Path) -> None:
    for source in list(folder.glob("*.src")):
        target = source.with_suffix(".tgt")
        aside = source.with_suffix(".aside")
        source.rename(aside)
        target.rename(source)
        aside.rename(target)
