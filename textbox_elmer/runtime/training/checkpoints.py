"""Checkpoints on disk: written aside and moved into place, so that a kill or a full disk never leaves half of one.

A run's folder holds `checkpoint-<step>` (weights, optimizer, random states: what continues a run) and
`checkpoint_best` (weights and tokenizer: what a test or another training starts from).
"""

import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path

from textbox_elmer.errors import UserError
from textbox_elmer.files import put
from textbox_elmer.files import remove as delete
from textbox_elmer.runtime.config import Config
from textbox_elmer.runtime.training.resuming import SHARED_OPTIMIZER, read_state

logger = logging.getLogger(__name__)

BEST = "checkpoint_best"
SAVED_CONFIG = "config.yaml"
WEIGHTS = "model.safetensors"
FSDP_WEIGHTS = "pytorch_model_fsdp.bin"  # the same once more, pickled, by accelerate
STAGING = ".saving"  # where a checkpoint is written
NEW_BEST, OLD_BEST, REMOVED = ".checkpoint_best.new", ".checkpoint_best.old", ".removed."
# What makes two runs the same training, with the value that older runs did not write down.
IDENTITY = {"model": None, "dataset": None, "pretrain_task": "disabled"}
# A checkpoint's files that belong to the run rather than to the model.
RUN_FILES = (
    "optimizer.pt",
    SHARED_OPTIMIZER,
    "scheduler.pt",
    "scaler.pt",
    "trainer_state.json",
    "training_args.bin",
    SAVED_CONFIG,
)


def checkpoints(run: Path) -> list[Path]:
    """Return a run's `checkpoint-<step>` folders, earliest step first."""
    found = [path for path in run.glob("checkpoint-*") if path.name.removeprefix("checkpoint-").isdecimal()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("checkpoint-")))


def publish_best(checkpoint: Path, run: Path) -> None:
    """Make `checkpoint` the run's `checkpoint_best`, by hard links where the file system has them."""
    new = run / NEW_BEST
    delete(new)
    new.mkdir()
    for file in sorted(checkpoint.iterdir()):
        if file.is_file() and not is_of_the_run(file.name):
            _link_or_copy(file, new / file.name)
    put(new, run / BEST)


def is_of_the_run(name: str) -> bool:
    """Tell whether a checkpoint's file of that name belongs to the run rather than to the model."""
    return name in RUN_FILES or name.startswith("rng_state")


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def remove_old(run: Path, keep: int) -> None:
    """Delete all but the latest `keep` checkpoints (a negative number keeps all); `checkpoint_best` is not counted."""
    found = checkpoints(run)
    for path in found[: max(len(found) - keep, 0)] if keep >= 0 else []:
        remove(path)


def remove(folder: Path) -> None:
    """Delete a checkpoint, if it is there; a kill leaves nothing that looks like one, and `sweep` clears that up."""
    hidden = folder.with_name(f"{REMOVED}{folder.name}")
    _clear(hidden)
    if folder.exists():
        folder.rename(hidden)
        _clear(hidden)


def sweep(run: Path) -> None:
    """Clear up what a killed process left half-made or half-deleted in a run's folder that nobody else works in."""
    if (run / OLD_BEST).is_dir() and not (run / BEST).exists():
        # Killed between the two renames: the new one is whole.
        (run / (NEW_BEST if (run / NEW_BEST).is_dir() else OLD_BEST)).rename(run / BEST)
    for leftover in (run / STAGING, run / NEW_BEST, run / OLD_BEST, *run.glob(f"{REMOVED}*")):
        _clear(leftover)


def _clear(path: Path) -> None:
    with suppress(OSError):  # what cannot be deleted is in nobody's way
        delete(path)


def best_of_stopped_run(checkpoint: Path) -> Path | None:
    """Return the folder of the best weights that a training had when it saved `checkpoint`, if it is still there."""
    step = read_state(checkpoint).best_global_step
    for folder in (checkpoint.with_name(f"checkpoint-{step}"), checkpoint.with_name(BEST)):
        if folder.is_dir():
            return folder
    return None


def check_saved_config(path: Path) -> None:
    """Raise a UserError if a run's folder lacks its configuration."""
    if not path.is_file():
        raise UserError(
            f"{str(path)!r} is missing, which says how the run was made: copy it from one of the run's checkpoints "
            "(checkpoint-<step>), or run it again."
        )


def saved_training(checkpoint: Path, config: Config) -> Config | None:
    """Return the saved configuration if `model_path` is a checkpoint of this same training, to go on where it stopped.

    A checkpoint of another model, dataset or pre-training task, or of no run, only gives its weights.
    """
    if not config["resume_training"] or not (checkpoint / SAVED_CONFIG).is_file():
        return None
    saved = Config.load(checkpoint / SAVED_CONFIG)
    if all((saved[key] or default) == config[key] for key, default in IDENTITY.items()):
        return saved
    task = saved["pretrain_task"] or "disabled"
    how = "fine-tuned" if task == "disabled" else f"pre-trained by {task}"
    logger.info("%s is %s, %s on %s: taking its weights alone.", checkpoint, saved["model"], how, saved["dataset"])
    return None
