"""One run among several."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textbox_elmer.runtime.config.values import format_option
from textbox_elmer.runtime.errors import UserError
from textbox_elmer.runtime.results import RESULTS, write_atomically
from textbox_elmer.runtime.subprocesses import environment, run_command
from textbox_elmer.runtime.training.checkpoints import checkpoints

SETTINGS = "settings.json"


def is_done(folder: Path) -> bool:
    """Tell whether a run has ended."""
    return (folder / RESULTS).exists()


def run_trial(folder: Path, options: Mapping[str, Any], config_files: Sequence[str] = ()) -> dict[str, Any]:
    """Run an experiment in a folder, or go on with it, unless it is done; return what its results.json says.

    Args:
        folder: the run's.
        options: all others, by key.

    Raises:
        UserError: the run failed; it has said why.
    """
    if not is_done(folder):
        given = dict(options) | {"saved_dir": str(folder.parent), "filename": folder.name}
        if stopped := checkpoints(folder):
            given["model_path"] = str(stopped[-1])
        words = [f"--{key}={format_option(key, value)}" for key, value in given.items()]
        words += ["--config_files", *config_files] if config_files else []
        if subprocess.run(run_command(words), env=environment(), check=False).returncode:
            raise UserError(
                f"The run {str(folder)!r} failed, as said above: repeat the command to go on with what is missing."
            )
    return json.loads((folder / RESULTS).read_text(encoding="utf-8"))


def keep_settings(folder: Path, settings: Mapping[str, Any], instead: str) -> None:
    """Write down what a folder's runs have in common, so that it is continued by the same command alone.

    Args:
        instead: the option that names another folder.

    Raises:
        UserError: the folder holds runs under other settings.
    """
    path = folder / SETTINGS
    text = json.dumps(dict(settings), indent=2, default=str)
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != json.loads(text):
        raise UserError(
            f"{str(folder)!r} holds runs under other options (they are in {SETTINGS}): repeat those, or give another "
            f"{instead}."
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text)
