"""Which files a corpus consists of: TextBox's `train.src` and `valid.src`, or a folder of texts."""

from dataclasses import dataclass
from pathlib import Path

from textbox_elmer.errors import UserError

SUFFIXES = (".txt", ".jsonl", ".parquet")
VALID, TEST = ("valid", "validation", "dev"), ("test",)


@dataclass(frozen=True)
class CorpusFiles:
    """The files of each part; without `valid` files the first texts of `train` are held out."""

    train: list[Path]
    valid: list[Path]


def find_files(folder: Path) -> CorpusFiles:
    """List a folder's files: `train.src` and `valid.src`, else all of `.txt`, `.jsonl` and `.parquet` below it.

    A file belongs to validation if its name, or that of a folder around it, begins with valid, validation or dev; what
    is called test so is left out.

    Raises:
        UserError: there is none.
    """
    if (folder / "train.src").exists():
        return CorpusFiles([folder / "train.src"], [path for path in [folder / "valid.src"] if path.exists()])
    found = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    valid = [path for path in found if _named(path, folder, VALID)]
    train = [path for path in found if path not in valid and not _named(path, folder, TEST)]
    if not train:
        raise UserError(
            f"{str(folder)!r} holds no corpus: put texts into train.src and valid.src there, one a line, or into "
            f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} files."
        )
    return CorpusFiles(train, valid)


def _named(path: Path, folder: Path, words: tuple[str, ...]) -> bool:
    """Say whether a file or a folder that it lies in has a name such as valid.txt, valid-00001.txt or valid/."""
    names = path.relative_to(folder).with_suffix("").parts
    return any(name.lower().replace("-", "_").replace(".", "_").split("_")[0] in words for name in names)
