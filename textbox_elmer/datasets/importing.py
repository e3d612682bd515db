"""Making a dataset out of a table with a column of sources and one of targets: `data import`."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import datasets

from textbox_elmer.datasets.folder.counting import SPLITS, count_examples, describe_counts
from textbox_elmer.datasets.folder.new import check_name, new_folder, refuse_existing
from textbox_elmer.datasets.tables import open_table
from textbox_elmer.errors import UserError
from textbox_elmer.files import put
from textbox_elmer.text.lines import format_line

# What tables call the splits.
OUR_NAMES = {"train": "train", "validation": "valid", "valid": "valid", "val": "valid", "dev": "valid", "test": "test"}
HELD_OUT_SHARE = 0.05
MOST_HELD_OUT = 5_000  # sources
_BATCH = 1_000  # rows

Target = str | list[str]


def import_table(table: str, is_file: bool, source: str, target: str, data_path: Path, name: str) -> str:
    """Write `data_path/name/{train,valid,test}.{src,tgt}`, which appears when it is complete.

    The table's own splits are kept. A missing valid or test split is held out of train: one source in twenty, chosen by
    a hash of the source, so that the same table gives the same files and no held-out source is trained on. Rows without
    source or target (null) are left out; a list in the target column becomes several references.

    Args:
        table, is_file: as `open_table` takes them.
        source, target: columns; `a.b` is the field b of a column of records a.
        data_path: where datasets lie.
        name: what the new one is called.

    Returns:
        what was written, for the user.

    Raises:
        UserError: the name is taken or no name, the table cannot be read or lacks a column or text, or the files cannot
            be written.
    """
    check_name(name)
    folder = data_path / name
    refuse_existing(folder)
    with new_folder(folder) as staging:
        tables = staging / ".table"  # which no dataset can be called
        tables.mkdir()
        splits, unused = _our_splits(open_table(table, is_file, tables), table)
        splits = {split: _columns(rows, table, source, target) for split, rows in splits.items()}
        missing = [split for split in SPLITS if split not in splits]
        held_out = _hold_out((example[0] for example in _examples(splits["train"], source, target)), missing, table)
        made = staging / name
        made.mkdir()
        written = _write(made, splits, source, target, held_out)
        counts = count_examples(made)
        if empty := [split for split, count in counts.items() if not count]:
            raise UserError(f"{table!r} has no row with both source and target for {empty[0]}: check both columns.")
        refuse_existing(folder)
        put(made, folder)
    left_out = sum(map(len, splits.values())) - written
    return _report(folder, counts, table, missing, unused, left_out)


def _our_splits(opened: datasets.DatasetDict, table: str) -> tuple[dict[str, datasets.Dataset], list[str]]:
    """Return a table's splits by our names, and the names of those that have none of ours."""
    splits = {OUR_NAMES[name]: rows for name, rows in opened.items() if name in OUR_NAMES}
    unused = [name for name in opened if name not in OUR_NAMES]
    if "train" not in splits and len(opened) == 1:
        return {"train": next(iter(opened.values()))}, []
    if "train" not in splits:
        raise UserError(f"{table!r} has the splits {', '.join(opened)}, but no train split to learn from.")
    return splits, unused


def _columns(rows: datasets.Dataset, table: str, *names: str) -> datasets.Dataset:
    """Return a split's named columns alone."""
    if not set(names) <= set(rows.column_names):
        rows = rows.flatten()  # a record's fields become columns called record.field
    for name in names:
        if name not in rows.column_names:
            raise UserError(f"{table!r} has no column {name!r}: its columns are {', '.join(rows.column_names)}.")
    return rows.select_columns(list(dict.fromkeys(names)))


def _examples(rows: datasets.Dataset, source: str, target: str) -> Iterator[tuple[str, Target]]:
    """Yield the rows that have both a source and a target."""
    for batch in rows.iter(_BATCH):
        for text, references in zip(batch[source], batch[target], strict=True):
            read, answers = _text(text, source), _references(references, target)
            if read is not None and answers is not None:
                yield read, answers


def _references(value: Any, column: str) -> Target | None:
    if not isinstance(value, list):
        return _text(value, column)
    texts = [text for item in value if (text := _text(item, column)) is not None]
    return texts or None


def _text(value: Any, column: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return str(value)
    raise UserError(f"The column {column!r} holds more than text ({str(value)[:60]}…): name a column of texts.")


def _hold_out(sources: Iterable[str], parts: Sequence[str], table: str) -> dict[bytes, str]:
    """Return which sources, by their hashes, go to which of the parts that are missing."""
    if not parts:
        return {}
    hashes = sorted({_hash(text) for text in sources})
    size = max(1, min(MOST_HELD_OUT, round(HELD_OUT_SHARE * len(hashes))))
    if len(hashes) <= size * len(parts):
        raise UserError(f"{table!r} has {len(hashes)} different sources, too few to hold out {' and '.join(parts)}.")
    return {key: part for i, part in enumerate(parts) for key in hashes[i * size : (i + 1) * size]}


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:16]


def _write(
    folder: Path, splits: Mapping[str, datasets.Dataset], source: str, target: str, held_out: Mapping[bytes, str]
) -> int:
    """Write the six files and return how many examples they hold."""
    written = 0
    with ExitStack() as stack:
        files = {
            (split, side): stack.enter_context((folder / f"{split}.{side}").open("w", encoding="utf-8", newline="\n"))
            for split in SPLITS
            for side in ("src", "tgt")
        }
        for name, rows in splits.items():
            for text, references in _examples(rows, source, target):
                split = held_out.get(_hash(text), name) if name == "train" else name
                files[split, "src"].write(f"{format_line(text)}\n")
                files[split, "tgt"].write(f"{format_line(references)}\n")
                written += 1
    return written


def _report(
    folder: Path, counts: Mapping[str, int | None], table: str, missing: list[str], unused: list[str], left_out: int
) -> str:
    sentences = [f"{folder}: {describe_counts(counts)} examples from {table}."]
    if missing:
        sentences.append(f"Held out of train, for the table has none: {' and '.join(missing)}.")
    if unused:
        sentences.append(f"Splits that are not used: {', '.join(unused)}.")
    if left_out:
        sentences.append(f"Left out: {left_out:,} rows without source or target.")
    return " ".join(sentences)
