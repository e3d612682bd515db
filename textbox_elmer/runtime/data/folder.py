"""A dataset's folder: `<data_path>/<dataset>/{train,valid,test}.{src,tgt}`."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from textbox_elmer.errors import UserError
from textbox_elmer.runtime.catalogue.datasets import APIDOC, DATASETS, MADE_HERE, known_dataset
from textbox_elmer.suggest import nearest
from textbox_elmer.text.lines import parse_line, read_lines

QUICK_TEST_EXAMPLES = 32


@dataclass(frozen=True)
class Split:
    """One split's texts.

    Attributes:
        name: "train", "valid" or "test".
        source: one text per example.
        target: one reference, or a list of several, per example.
    """

    name: str
    source: list[str]
    target: list[str | list[str]]


def find_dataset(data_path: str | Path, dataset: str) -> Path:
    """Return a dataset's folder.

    Raises:
        UserError: there is none; says where it was looked for and how to get it.
    """
    folder = Path(data_path) / dataset
    if folder.is_dir():
        return folder
    if remedy := _how_to_come_by(dataset, data_path):
        raise UserError(f"The dataset {dataset!r} is not in {str(data_path)!r} yet: {remedy}.")
    present = [path.name for path in Path(data_path).glob("[!.]*") if path.is_dir()]
    guess = None if dataset in DATASETS else nearest(dataset, present) or nearest(dataset, (*DATASETS, *MADE_HERE))
    raise UserError(
        f"There is no dataset {dataset!r}: the folder {str(folder)!r} does not exist."
        + (f" Did you mean {guess!r}?" if guess else " Put its six files there, or give --data_path.")
    )


def _how_to_come_by(dataset: str, data_path: str | Path) -> str | None:
    """Return what to do about a dataset that is not here, or None for one that nobody but the user knows."""
    known = known_dataset(dataset)
    if dataset in MADE_HERE:
        verb, command = "make", f"data {APIDOC}"
    elif known and known.archive:
        verb, command = "get", f"data get {dataset}"
    else:
        return None
    # The command must fill the folder that the run looks in.
    elsewhere = "" if Path(data_path) == Path("dataset") else f" {shlex.quote(f'--data_path={data_path}')}"
    return f"{verb} it with `python -m textbox_elmer {command}{elsewhere}`"


def load_split(folder: Path, split: str, limit: int | None = None) -> Split:
    """Read a split's first `limit` examples, by default all.

    A source is always one text: a source line that looks like a list stays as it is.

    Raises:
        UserError: a file is missing, empty or not UTF-8, the two differ in length, or a target is an empty list.
    """
    source_path, target_path = folder / f"{split}.src", folder / f"{split}.tgt"
    sources, targets = read_lines(source_path), read_lines(target_path)
    if len(sources) != len(targets):
        raise UserError(
            f"{str(source_path)!r} has {len(sources)} lines but {str(target_path)!r} has {len(targets)}: "
            "line n of one must belong to line n of the other."
        )
    references = [parse_line(line) for line in targets[:limit]]
    if [] in references:
        line = references.index([]) + 1
        raise UserError(f"{str(target_path)!r}, line {line}, is an empty list of references: give at least one.")
    return Split(split, [_source(line) for line in sources[:limit]], references)


def quick_test_limit(quick_test: bool | int | None) -> int | None:
    """Return how many examples of a split TextBox's `quick_test` asks for; None: all."""
    return QUICK_TEST_EXAMPLES if quick_test is True else int(quick_test or 0) or None


def _source(line: str) -> str:
    text = parse_line(line)
    return text if isinstance(text, str) else line.strip()
