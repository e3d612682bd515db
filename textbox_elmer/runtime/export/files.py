"""An export's folder: its files' names, and how it comes into being in one step."""

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from textbox_elmer.reading import read_json
from textbox_elmer.runtime.errors import UserError

MANIFEST = "export.json"


def graph_name(canvas: int, int8: bool = False) -> str:
    """Return the name of the file that holds the graph for texts of up to so many tokens."""
    return f"elmer-{canvas}{'-int8' if int8 else ''}.onnx"


def check_replaceable(out: Path) -> None:
    """Make sure that putting an export at `out` deletes nothing but an earlier export.

    Raises:
        UserError: something else is there, or lies in the earlier export's folder.
    """
    if not os.path.lexists(out):
        return
    if out.is_symlink() or not out.is_dir():
        raise UserError(f"--out={str(out)!r} is not a folder: give another --out.")
    if foreign := sorted({path.name for path in out.iterdir()} - _files_of_export(out)):
        raise UserError(
            f"--out={str(out)!r} holds {foreign[0]!r}, which no export has written: give another --out, since this "
            "folder would be replaced."
        )


def _files_of_export(out: Path) -> set[str]:
    try:
        names = read_json(out / MANIFEST)["files"]
        return {MANIFEST, *names}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """Yield an empty hidden folder beside `out`; on leaving without an exception it becomes `out`.

    A kill leaves at most the hidden folder, never half an export; an earlier export stays until the new one is whole.

    Raises:
        UserError: the folder cannot be made.
    """
    unique = uuid.uuid4().hex[:12]
    staging, old = (out.with_name(f".{out.name}-{unique}.{kind}") for kind in ("new", "old"))
    try:
        staging.mkdir(parents=True)
    except OSError as error:
        raise UserError(
            f"The folder --out={str(out)!r} cannot be made ({error.strerror}): give another --out."
        ) from error
    try:
        yield staging
        if out.exists():
            out.rename(old)
        try:
            staging.rename(out)
        except OSError:
            if old.exists():
                old.rename(out)
            raise
    finally:
        for leftover in (staging, old):
            shutil.rmtree(leftover, ignore_errors=True)


def write_manifest(folder: Path, facts: dict[str, Any]) -> None:
    """Write down what the export is and which files belong to it."""
    files = sorted(path.name for path in folder.iterdir())
    (folder / MANIFEST).write_text(json.dumps(facts | {"files": files}, indent=2) + "\n", encoding="utf-8")
