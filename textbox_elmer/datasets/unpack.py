"""Taking the six files of a dataset out of an archive that may be hostile.

No path in the archive is ever used: the files that a dataset has are written under names of our own.
"""

import gzip
import io
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from textbox_elmer.errors import UserError
from textbox_elmer.terminal import reason_of

SIDES = ("src", "tgt")
NEEDED = frozenset(f"{split}.{side}" for split in ("train", "valid") for side in SIDES)
# A quarter of TextBox's datasets have none, for their makers keep it to themselves.
TEST = frozenset(f"test.{side}" for side in SIDES)
MOST_ENTRIES = 10_000
MOST_AT_ONCE = 1 << 24  # bytes; tarfile reads the headers of long names as a whole
_CHUNK = 1 << 20  # bytes


def unpack(archive: Path, folder: Path, limit: int) -> Path:
    """Write an archive's train, valid and test files to a new folder below `folder`.

    Args:
        archive: a gzipped tar file.
        folder: an empty one.
        limit: most bytes that it may unpack to.

    Returns:
        the folder below `folder` with the files.

    Raises:
        UserError: the archive is damaged, hostile, too large, or holds no dataset.
        OSError: the files cannot be written.
    """
    found: dict[PurePosixPath, Path] = {}
    try:
        with gzip.open(archive) as content, tarfile.open(fileobj=_Bounded(content, limit), mode="r:") as tar:
            for number, entry in enumerate(tar):
                if number == MOST_ENTRIES:
                    raise UserError(f"The archive holds more than {MOST_ENTRIES:,} entries, where a dataset has six.")
                path = _checked_path(entry)
                if entry.isreg() and path.name in NEEDED | TEST:
                    place = found.setdefault(path.parent, folder / str(len(found)))
                    place.mkdir(exist_ok=True)
                    _copy(tar, entry, place / path.name)
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError, OverflowError) as error:
        raise UserError(f"The archive is damaged or incomplete ({reason_of(error)}).") from None
    return _complete(list(found.values()))


class _Bounded(io.RawIOBase):
    """A decompressed archive that ends in an error once it has grown beyond a limit."""

    def __init__(self, content: gzip.GzipFile, limit: int) -> None:
        self._content, self._limit = content, limit

    def read(self, size: int = -1) -> bytes:
        """Return the next `size` bytes, fewer at the end."""
        if not 0 <= size <= MOST_AT_ONCE:
            raise UserError("The archive holds a header of many megabytes, which no dataset needs.")
        data = self._content.read(size)
        self._check(self._content.tell())
        return data

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position, counted from the start."""
        self._check(position)
        return self._content.seek(position, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._content.tell()

    def _check(self, position: int) -> None:
        if position > self._limit:
            raise UserError(
                f"The archive unpacks to more than {self._limit / 1e9:g} GB: if you trust it, give a larger --max_gb."
            )


def _checked_path(entry: tarfile.TarInfo) -> PurePosixPath:
    """Return an entry's path, or raise a UserError if it is one that no dataset needs and an attack would use."""
    path = PurePosixPath(entry.name)
    if path.is_absolute() or ".." in path.parts or "\\" in entry.name:
        raise UserError(f"The archive is refused: its entry {entry.name[:100]!r} would lie outside the dataset.")
    if not (entry.isreg() or entry.isdir()) or entry.issparse():
        raise UserError(f"The archive is refused: its entry {entry.name[:100]!r} is neither a file nor a folder.")
    return path


def _copy(tar: tarfile.TarFile, entry: tarfile.TarInfo, path: Path) -> None:
    if path.exists():
        raise UserError(f"The archive is refused: it holds {entry.name[:100]!r} twice.")
    source = tar.extractfile(entry)
    assert source is not None  # of a file there is one
    with (
        path.open("wb") as target,
        tqdm(total=entry.size, desc=f"Unpacking {path.name}", unit="B", unit_scale=True, disable=None) as progress,
    ):
        while chunk := source.read(_CHUNK):
            target.write(chunk)
            progress.update(len(chunk))
    if path.stat().st_size != entry.size:
        raise EOFError(f"{path.name} is cut off")


def _complete(folders: list[Path]) -> Path:
    """Return the one folder that holds a dataset, or raise a UserError."""
    contents = {folder: {path.name for path in folder.iterdir()} for folder in folders}
    complete = [folder for folder, names in contents.items() if names >= NEEDED and names & TEST in (TEST, set())]
    if len(complete) == 1:
        return complete[0]
    if complete:
        raise UserError("The archive holds several datasets, of which none can be preferred.")
    fullest = max(contents.values(), key=len, default=set())
    missing = sorted((NEEDED | TEST if fullest & TEST else NEEDED) - fullest)
    raise UserError(f"The archive holds no dataset: it lacks {', '.join(missing)}.")
