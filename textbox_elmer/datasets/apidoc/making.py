"""The datasets `apidoc`, operations of web services -> what they do, and `apidoc-prose`, text to pre-train on."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from textbox_elmer.datasets.apidoc.prose import training_prose
from textbox_elmer.datasets.apidoc.services import PACKAGE, read_services
from textbox_elmer.datasets.apidoc.splits import split_pairs
from textbox_elmer.datasets.folder.counting import SPLITS
from textbox_elmer.datasets.folder.new import ELSEWHERE, new_folder
from textbox_elmer.errors import UserError
from textbox_elmer.files import held, put
from textbox_elmer.runtime.catalogue.datasets import APIDOC, APIDOC_PROSE
from textbox_elmer.text.lines import format_line

_PROVENANCE = "README.txt"
_FILES = frozenset((_PROVENANCE, *(f"{split}.{side}" for split in SPLITS for side in ("src", "tgt"))))


def build_apidoc(data_path: Path) -> str:
    """Build both datasets from the installed package botocore, in about half a minute.

    The same version of it gives the same bytes. Both folders appear, or replace those of an earlier build, when all
    is written; a kill leaves nothing half.

    Args:
        data_path: where datasets lie; `apidoc` and `apidoc-prose` go there.

    Returns:
        what there is now, for the user.

    Raises:
        UserError: botocore is not installed or damaged, or a folder cannot be written or holds other files.
    """
    folder, prose_folder = data_path / APIDOC, data_path / APIDOC_PROSE
    for path in (folder, prose_folder):
        _check_replaceable(path)
    with new_folder(folder) as staging, held(prose_folder, ELSEWHERE):
        version, services = read_services()
        splits = split_pairs(services)
        if not all(splits.values()):
            raise UserError(f"{PACKAGE} {version} documents too few services for train, valid and test: update it.")
        prose = training_prose(services, [*splits["valid"], *splits["test"]])
        files = {f"{split}.src": [pair.source for pair in pairs] for split, pairs in splits.items()}
        files |= {f"{split}.tgt": [pair.target for pair in pairs] for split, pairs in splits.items()}
        _write(staging / APIDOC, files, version)
        _write(staging / APIDOC_PROSE, {f"{split}.src": texts for split, texts in prose.items()}, version)
        # `apidoc` last: where it is, both are.
        for path in (prose_folder, folder):
            _check_replaceable(path)
            put(staging / path.name, path)
    counts = ", ".join(f"{len(pairs):,} {split}" for split, pairs in splits.items())
    texts = ", ".join(f"{len(texts):,} {split}" for split, texts in prose.items())
    return f"{folder}: {counts} examples from {PACKAGE} {version}. {prose_folder}: {texts} texts to pre-train on."


def _check_replaceable(folder: Path) -> None:
    # Nothing but an earlier build is ever replaced.
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir():
        raise UserError(f"{str(folder)!r} is here already and no folder: move it elsewhere first.")
    if strange := sorted({path.name for path in folder.iterdir()} - _FILES):
        raise UserError(f"{str(folder)!r} holds {strange[0]!r}, which is no part of a dataset: move it elsewhere.")


def _write(folder: Path, files: Mapping[str, Sequence[str]], version: str) -> None:
    folder.mkdir()
    facts = [
        f"Made by `python -m textbox_elmer data {APIDOC}` of the documentation in {PACKAGE} {version} (Apache-2.0).",
        *(f"{name}: {len(lines)} lines" for name, lines in files.items()),
    ]
    for name, lines in [*files.items(), (_PROVENANCE, facts)]:
        (folder / name).write_bytes("".join(f"{format_line(line)}\n" for line in lines).encode())
