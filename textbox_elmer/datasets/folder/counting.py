"""How many examples a dataset's files hold, without reading them as text."""

from collections.abc import Mapping
from pathlib import Path

from textbox_elmer.files import open_regular

SPLITS = ("train", "valid", "test")
_CHUNK = 1 << 22  # bytes


def count_examples(folder: Path) -> dict[str, int | None]:
    """Return the number of source lines by split; None where there is no file that can be read."""
    return {split: _count_lines(folder / f"{split}.src") for split in SPLITS}


def describe_counts(counts: Mapping[str, int | None]) -> str:
    """Return e.g. "14,732 train, 818 valid, 819 test", without the splits that are not there."""
    return ", ".join(f"{count:,} {split}" for split, count in counts.items() if count is not None)


def _count_lines(path: Path) -> int | None:
    """Count lines as they are read: ended by \\n, \\r or \\r\\n, the last one perhaps by nothing."""
    lines, last = 0, b"\n"
    try:
        with open_regular(path) as file:
            while chunk := file.read(_CHUNK):
                lines += chunk.count(b"\n") + chunk.count(b"\r") - chunk.count(b"\r\n")
                lines -= last == b"\r" and chunk.startswith(b"\n")
                last = chunk[-1:]
    except OSError:
        return None
    return lines + (last not in (b"\n", b"\r"))
