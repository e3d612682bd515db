"""What a distillation has written so far, kept beside the dataset to be, so that a kill costs one batch at most."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from textbox_elmer.files import open_own
from textbox_elmer.reading import parse_json
from textbox_elmer.unfinished import begin_or_continue

IDENTITY = "distillation.json"
TEXTS = "texts.jsonl"


@dataclass(frozen=True)
class Written:
    """A batch's outcome.

    Attributes:
        number: which batch, from 0.
        texts: one an example.
        cut: how many of them the longest length ended.
        seconds: how long it took.
    """

    number: int
    texts: list[str]
    cut: int
    seconds: float


def staging_of(folder: Path) -> Path:
    """Return the hidden folder that a dataset is distilled in."""
    return folder.with_name(f".{folder.name}.distilling")


@contextmanager
def begun_or_continued(
    staging: Path, identity: Mapping[str, Any], sizes: Sequence[int]
) -> Iterator[tuple[list[Written], IO[bytes]]]:
    """Lend what is written already and the open file that `keep` appends to.

    Args:
        staging: the hidden folder; made where there is none.
        identity: all that decides the texts, as JSON values; what was begun under another one is not gone on with.
        sizes: the number of examples of each batch.

    Raises:
        UserError: something else was begun here, or nothing says what.
    """
    begin_or_continue(staging, IDENTITY, identity)
    with open_own(staging / TEXTS) as file:
        written = _read(file, sizes)
        yield written, file


def keep(file: IO[bytes], batch: Written) -> None:
    """Append a batch and see it to the disk."""
    file.write(json.dumps(asdict(batch)).encode() + b"\n")
    file.flush()
    os.fsync(file.fileno())


def _read(file: IO[bytes], sizes: Sequence[int]) -> list[Written]:
    """Return the sound batches at the file's beginning and cut off whatever is behind them."""
    written: list[Written] = []
    file.seek(0)
    end = 0
    for line in file:
        batch = _sound(line, len(written), sizes)
        if batch is None:
            break
        written.append(batch)
        end += len(line)
    file.truncate(end)
    file.seek(end)
    return written


def _sound(line: bytes, number: int, sizes: Sequence[int]) -> Written | None:
    if not line.endswith(b"\n") or number >= len(sizes):
        return None
    try:
        batch = Written(**parse_json(line.decode()))
        sound = (
            batch.number == number
            and len(batch.texts) == sizes[number]
            and all(isinstance(text, str) for text in batch.texts)
            and isinstance(batch.cut, int)
            and isinstance(batch.seconds, float)
        )
    except (ValueError, TypeError):
        return None
    return batch if sound else None
