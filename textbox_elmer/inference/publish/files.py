"""Which files of a checkpoint are the model's, and go to the hub."""

import os
from pathlib import Path

from textbox_elmer.errors import UserError
from textbox_elmer.runtime.training.checkpoints import BEST, is_of_the_run

CONFIG, WEIGHTS = "config.json", ".safetensors"
# What a pickle's name ends in: whoever loads one runs whatever is in it.
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")


def find_files(model_path: str) -> list[Path]:
    """Return the files of a run's best checkpoint, or of a checkpoint's own folder, by name.

    Neither what belongs to the run (its optimizer, say), nor pickles, hidden files, links and folders are among them.

    Raises:
        UserError: there is no such folder, or no model with safetensors weights in it.
    """
    folder = Path(model_path)
    if (folder / BEST).is_dir():
        folder = folder / BEST
    if not folder.is_dir():
        raise UserError(f"There is no folder {model_path!r}: give a run's, or a checkpoint's, by --model_path=….")
    files = [file for file in sorted(folder.iterdir()) if _is_published(file)]
    if CONFIG not in [file.name for file in files] or not any(file.suffix == WEIGHTS for file in files):
        raise UserError(f"{str(folder)!r} holds no model ({CONFIG} and *{WEIGHTS}): give another --model_path.")
    return files


def _is_published(file: Path) -> bool:
    hidden = file.name.startswith(".") or is_of_the_run(file.name)
    return not hidden and file.suffix not in PICKLES and not os.path.islink(file) and file.is_file()
