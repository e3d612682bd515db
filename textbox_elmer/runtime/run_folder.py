"""The folder of one run, `saved/<model>-<dataset>-<time>/`."""

import time
from pathlib import Path

from textbox_elmer.runtime.config import Config
from textbox_elmer.runtime.errors import UserError
from textbox_elmer.runtime.results import RESULTS

TIME_FORMAT = "%Y-%b-%d_%H-%M-%S"


def make_run_folder(config: Config) -> Path:
    """Create and return the run's folder; without `filename` its name is new, whatever other runs start meanwhile.

    Raises:
        UserError: `filename` names a finished run, whose results would be lost (unless `model_path` lies inside it), or
            the folder cannot be made.
    """
    parent = Path(config["saved_dir"])
    try:
        if config["filename"] is not None:
            return _named(parent / config["filename"], config["model_path"])
        dataset = config.dataset.replace("/", "-").replace(":", "-")  # owner/name:configuration on the hub
        stem = f"{config.model}-{dataset}-{time.strftime(TIME_FORMAT)}"
        for attempt in range(1, 1000):
            run = parent / (stem if attempt == 1 else f"{stem}-{attempt}")
            try:
                run.mkdir(parents=True)
            except FileExistsError:
                if not run.is_dir():
                    raise
                continue
            return run
    except OSError as error:
        raise UserError(
            f"The run's folder cannot be made in {str(parent)!r} ({error.strerror}): give another --saved_dir."
        ) from error
    raise UserError(f"{str(parent)!r} is full of runs called {stem}: give a --filename.")


def _named(run: Path, model_path: str | None) -> Path:
    own_checkpoint = model_path is not None and run.resolve() in Path(model_path).resolve().parents
    if (run / RESULTS).exists() and not own_checkpoint:
        raise UserError(f"{str(run)!r} already holds a finished run: give another --filename or delete that folder.")
    run.mkdir(parents=True, exist_ok=True)
    return run
