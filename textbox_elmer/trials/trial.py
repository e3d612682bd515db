"""One run among several."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from textbox_elmer.errors import UserError
from textbox_elmer.files import held, write_atomically, writing
from textbox_elmer.reading import read_json
from textbox_elmer.runtime.config.values import format_option
from textbox_elmer.runtime.runs.results import RESULTS, read_results
from textbox_elmer.runtime.training.checkpoints import checkpoints
from textbox_elmer.subprocesses import environment, run_command
from textbox_elmer.terminal import reason_of
from textbox_elmer.termination import Terminated

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
        if _run(words):
            raise UserError(
                f"The run {str(folder)!r} failed, as said above: repeat the command to go on with what is missing."
            )
    return _results_of_training(folder)


def _results_of_training(folder: Path) -> dict[str, Any]:
    try:
        results = read_results(folder)
        training = results.get("training", {})
        if missing := [key for key in ("steps", "seconds", "best_score", "best_metrics") if key not in training]:
            raise ValueError(f"its training has no {missing[0]}")
    except (OSError, ValueError) as error:
        raise UserError(
            f"{str(folder / RESULTS)!r} is damaged ({reason_of(error)}): delete it and repeat the command, which makes "
            "it anew."
        ) from None
    return results


def _run(options: Sequence[str]) -> int:
    """Run an experiment in a process of its own, which is asked to end when this one is; return its exit status."""
    with subprocess.Popen(run_command(options), env=environment()) as process:
        try:
            return process.wait()
        except Terminated:
            process.terminate()  # it saves what it has
            process.wait()
            raise Terminated("repeat the command to go on where it stopped.") from None
        except BaseException:
            process.kill()
            raise


@contextmanager
def held_settings(folder: Path, settings: Mapping[str, Any], instead: str) -> Iterator[None]:
    """Hold a folder of runs, so that no other process continues it, and keep its settings as `keep_settings` does.

    Raises:
        UserError: another process is at work in the folder, it cannot be made, or it holds runs under other settings.
    """
    with held(folder, f"give another {instead}"):
        keep_settings(folder, settings, instead)
        yield


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
    with writing(folder, f"give another {instead}"):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
