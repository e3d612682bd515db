"""One run among several."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textbox_elmer.reading import read_json
from textbox_elmer.runtime.config.values import format_option
from textbox_elmer.runtime.errors import UserError
from textbox_elmer.runtime.results import RESULTS, fault_of, write_atomically
from textbox_elmer.runtime.subprocesses import environment, run_command
from textbox_elmer.runtime.training.checkpoints import checkpoints
from textbox_elmer.terminal import reason_of

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
        UserError: the run failed, and has said why; or its results are damaged.
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
    return _read_results(folder)


def _read_results(folder: Path) -> dict[str, Any]:
    path = folder / RESULTS
    try:
        results = read_json(path)
        if fault := fault_of(results) or _fault_of_training(results):
            raise ValueError(fault)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{str(path)!r} is damaged ({reason_of(error)}): delete it and repeat the command, which makes it anew."
        ) from None
    return results


def _fault_of_training(results: Mapping[str, Any]) -> str | None:
    training = results.get("training", {})
    missing = [key for key in ("steps", "seconds", "best_score", "best_metrics") if key not in training]
    return f"its training has no {missing[0]}" if missing else None


def keep_settings(folder: Path, settings: Mapping[str, Any], instead: str) -> None:
    """Write down what a folder's runs have in common, so that it is continued by the same command alone.

    Args:
        instead: the option that names another folder.

    Raises:
        UserError: the folder holds runs under other settings or cannot tell, cannot be made, or not be written.
    """
    path = folder / SETTINGS
    text = json.dumps(dict(settings), indent=2, default=str)
    try:
        kept = read_json(path)
    except (FileNotFoundError, NotADirectoryError):
        kept = None
    except (OSError, ValueError) as error:
        raise UserError(
            f"{str(path)!r} is damaged ({reason_of(error)}), so that nothing says which options the runs there have: "
            f"give another {instead}."
        ) from None
    if kept is not None and kept != json.loads(text):
        raise UserError(
            f"{str(folder)!r} holds runs under other options (they are in {SETTINGS}): repeat those, or give another "
            f"{instead}."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
    except OSError as error:
        raise UserError(
            f"The folder {str(folder)!r} cannot be made or written ({error.strerror}): give another {instead}."
        ) from error
