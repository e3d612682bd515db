"""An export's folder: its files' names, and how it comes into being in one step."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from textbox_elmer.errors import UserError
from textbox_elmer.files import put, workspace
from textbox_elmer.reading import read_json

MANIFEST = "export.json"
MOST_BYTES = 1 << 20  # of that file
# All that an export may write: graphs, the manifest, the configuration, and what tokenizers save.
GRAPH = re.compile(r"elmer-\d+(-int8)?\.onnx")
OTHERS = frozenset(
    (
        *(MANIFEST, "config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
        *("added_tokens.json", "vocab.json", "merges.txt", "vocab.txt", "chat_template.jinja"),
        *("spiece.model", "tokenizer.model", "sentencepiece.bpe.model"),
    )
)


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
    listed = _files_of_export(out)
    # A forged list must not make us delete what no export writes.
    if foreign := sorted(path.name for path in out.iterdir() if path.name not in listed or not _may_be_ours(path)):
        raise UserError(
            f"--out={str(out)!r} holds {foreign[0]!r}, which no export has written: give another --out, since this "
            "folder would be replaced."
        )


def _may_be_ours(path: Path) -> bool:
    known = path.name in OTHERS or GRAPH.fullmatch(path.name)
    return bool(known) and path.is_file() and not path.is_symlink()


def _files_of_export(out: Path) -> set[str]:
    try:
        names = read_json(out / MANIFEST)["files"]
        return {MANIFEST, *names}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """Hold the name `out` and yield an empty hidden folder; on leaving without an exception it becomes `out`.

    A kill leaves at most the hidden folder, never half an export; an earlier export stays until the new one is whole.

    Raises:
        UserError: another export is at work there, the folder cannot be made, or what no export has written has come
            to lie there meanwhile.
    """
    with workspace(out, "give another --out") as folder:
        yield folder
        check_replaceable(out)
        put(folder, out)


def write_manifest(folder: Path, facts: dict[str, Any]) -> None:
    """Write down what the export is and which files belong to it."""
    files = sorted(path.name for path in folder.iterdir())
    (folder / MANIFEST).write_text(json.dumps(facts | {"files": files}, indent=2) + "\n", encoding="utf-8")
