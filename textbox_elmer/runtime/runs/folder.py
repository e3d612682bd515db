"""The folder of one run, `saved/<model>-<dataset>-<time>/`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from textbox_elmer.errors import UserError
from textbox_elmer.files import held, writing
from textbox_elmer.runtime.config import Config
from textbox_elmer.runtime.runs.results import RESULTS

TIME_FORMAT = "%Y-%b-%d_%H-%M-%S"
REMEDY = "give another --filename"


@contextmanager
def run_folder(config: Config) -> Iterator[Path]:
    """Create the run's folder and hold it, so that no other process works in it, until the block is left.

    Without `filename` its name is new, whatever other runs start meanwhile.

    Raises:
        UserError: another process is at work in it, `filename` names a finished run, whose results would be lost
            (unless `model_path` lies inside it), or the folder cannot be made.
    """
    parent = Path(config["saved_dir"])
    with writing(parent, "give another --saved_dir"):
        parent.mkdir(parents=True, exist_ok=True)
    run = _new(parent, config) if config["filename"] is None else parent / config["filename"]
    with held(run, REMEDY):
        _refuse_finished(run, config["model_path"])
        with writing(run, REMEDY):
            run.mkdir(parents=True, exist_ok=True)
        yield run


def _new(parent: Path, config: Config) -> Path:
    dataset = config.dataset.replace("/", "-").replace(":", "-")  # owner/name:configuration on the hub
    stem = f"{config.model}-{dataset}-{time.strftime(TIME_FORMAT)}"
    for attempt in range(1, 1000):
        run = parent / (stem if attempt == 1 else f"{stem}-{attempt}")
        with writing(run, "give a --filename"), suppress(FileExistsError):
            run.mkdir()
            return run
    raise UserError(f"{str(parent)!r} is full of runs called {stem}: give a --filename.")


def _refuse_finished(run: Path, model_path: str | None) -> None:
    own_checkpoint = model_path is not None and run.resolve() in Path(model_path).resolve().parents
    if (run / RESULTS).exists() and not own_checkpoint:
        raise UserError(f"{str(run)!r} already holds a finished run: give another --filename or delete that folder.")
