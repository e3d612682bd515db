"""What is written so far of a long run: one file for each window of rows, in a hidden folder beside the output."""

import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from textbox_elmer.files import write_atomically

IDENTITY = "identity.json"
PATIENCE = 0.2  # seconds between two looks at what another process has written


@dataclass(frozen=True)
class Facts:
    """What is known of a window's part.

    Attributes:
        rows: how many it has.
        failed: how many of them have no text.
        cut: how many texts were cut to be read.
        texts: a digest of the rows' texts.
    """

    rows: int
    failed: int
    cut: int
    texts: str


class Parts:
    """The parts of one output, numbered from 0. Each is there as a whole or not at all.

    Args:
        output: the file or folder that they will make.
    """

    def __init__(self, output: Path) -> None:
        self.folder = output.parent / f".{output.name}.parts"

    def facts(self, number: int) -> Facts | None:
        """Return what is known of a part, None while there is none."""
        try:
            with self._path(number).open("rb") as file:
                return Facts(**json.loads(file.readline()))
        except (FileNotFoundError, ValueError, TypeError):  # a disk's fault may have damaged it: it is made anew
            return None

    def keep(self, number: int, facts: Facts, content: bytes) -> None:
        """Write a part.

        Raises:
            OSError: it cannot be written.
        """
        write_atomically(self._path(number), json.dumps(asdict(facts)).encode() + b"\n" + content)

    def wait_for(self, number: int) -> Facts:
        """Return what is known of a part that another process writes, when it has."""
        while (facts := self.facts(number)) is None:
            time.sleep(PATIENCE)
        return facts

    def wait_for_beginning(self, output: Path) -> bool:
        """Wait until another process has begun; return False where it has already ended."""
        while not (self.folder / IDENTITY).exists():
            if os.path.lexists(output):
                return False
            time.sleep(PATIENCE)
        return True

    def contents(self, numbers: Iterable[int]) -> Iterator[IO[bytes]]:
        """Lend the contents of parts, one after the other."""
        for number in numbers:
            with self._path(number).open("rb") as file:
                file.readline()
                yield file

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08}.part"
