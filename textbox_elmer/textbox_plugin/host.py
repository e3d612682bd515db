"""`run_textbox.py --textbox_home=DIR`: one experiment by the checkout's own code, as if typed inside the checkout."""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import wraps
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import yaml
from transformers import logging

from textbox_elmer.errors import UserError
from textbox_elmer.files import held
from textbox_elmer.model.loading import plain_reason
from textbox_elmer.reading import MOST_YAML, check_yaml, read_text
from textbox_elmer.terminal import reason_of
from textbox_elmer.termination import saying
from textbox_elmer.textbox_plugin.checkout import find_checkout
from textbox_elmer.textbox_plugin.preflight import check_experiment
from textbox_elmer.textbox_plugin.registration import register

READ_PATHS = ("model_path", "tokenizer_path", "config_path", "data_path")
# What TextBox asks for by whether it is set at all, so that a null would be taken for a value.
SET_OR_NOT = ("model", "dataset", "model_path", "filename", "saved_dir", "wandb")
# What TextBox and the libraries under it raise for a path, a name or a value that does not suit.
USER_MISTAKES = (
    *(OSError, ValueError, LookupError, ArithmeticError, AssertionError, ImportError, TypeError, RuntimeError),
    *(EOFError, UnpicklingError, yaml.YAMLError),
)


def run(textbox_home: str, options: Mapping[str, Any], config_files: Sequence[str], command: str) -> None:
    """Run one experiment inside a TextBox checkout: its configuration, data, trainer and evaluator.

    The run leaves what TextBox's runs leave, in the checkout's `saved/` unless `saved_dir` says otherwise. A path that
    is typed is looked for where the user is, then in the checkout.

    Args:
        options: what was typed, already read as values; nothing of it is evaluated.
        config_files: YAML files, later ones winning over earlier ones, the options over all of them.
        command: how the run was started, for TextBox's records.

    Raises:
        UserError: whatever the user can put right.
    """
    home = find_checkout(textbox_home)
    here = Path.cwd()
    files = [_found(file, here, home) for file in config_files]
    with ExitStack() as stack:
        stack.enter_context(_working_in(home, command))
        files.append(stack.enter_context(_as_file(_resolved(options, here))))
        register(home)
        _experiment(home, files)


def _experiment(home: Path, files: list[str]) -> None:
    from textbox import run_textbox
    from textbox.config.configurator import Config
    from textbox.utils import dashboard

    logging.disable_progress_bar()  # for each file that is loaded or saved
    dashboard.root = None  # a former experiment's, if there was one in this process
    theirs = dashboard.SummaryTracker.new_experiment
    dashboard.SummaryTracker.new_experiment = _raising(theirs)
    try:
        config = _resolve(Config, files)
        check_experiment(config, home)
        goes_on = "TextBox has stopped, what it saved is in its saved_dir: go on with --model_path=<a checkpoint>."
        with _holding(config), saying(goes_on):
            run_textbox(None, None, files, {})
    except USER_MISTAKES as error:
        reason = plain_reason(error)
        if isinstance(error, LookupError | TypeError):  # whose words alone say little
            reason = f"{type(error).__name__}: {reason}"
        raise UserError(f"TextBox in {str(home)!r} stopped: {reason.removesuffix('.')}.") from error
    finally:
        dashboard.SummaryTracker.new_experiment = theirs


def _resolve(config_class: Callable[..., Any], files: list[str]) -> Any:
    try:
        return config_class(None, None, files, {})
    except KeyError:
        raise UserError(
            "No model or no dataset is named: give --model=… and --dataset=…, e.g. ELMER and samsum."
        ) from None


def _holding(config: Any) -> AbstractContextManager:
    """Hold the run's folder against other runs, where it is named: TextBox's own names hold the time."""
    name = config["filename"]
    return held(Path(config["saved_dir"] or "saved", name), "give another --filename") if name else nullcontext()


def _raising(theirs: Callable[..., Any]) -> Callable[..., Any]:
    """Return TextBox's tracker of an experiment, which logs what goes wrong and ends well, made to raise it."""

    @wraps(theirs)
    @contextmanager
    def new_experiment(tracker: Any, *arguments: Any, **named: Any) -> Iterator[Any]:
        failure = None
        with theirs(tracker, *arguments, **named) as started:
            try:
                yield started
            except Exception as error:
                failure = error
        if failure is not None:
            raise failure

    return new_experiment


@contextmanager
def _working_in(home: Path, command: str) -> Iterator[None]:
    """Change into the checkout and hide the command line, whose options TextBox would evaluate, as one word."""
    here, arguments = Path.cwd(), sys.argv
    os.chdir(home)
    sys.argv = [command]
    try:
        yield
    finally:
        os.chdir(here)
        sys.argv = arguments


@contextmanager
def _as_file(options: Mapping[str, Any]) -> Iterator[str]:
    """Write options where TextBox reads values and evaluates none: JSON, which is YAML too."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "options.yaml"
        path.write_text(json.dumps(options, ensure_ascii=False), encoding="utf-8")
        yield str(path)


def _resolved(options: Mapping[str, Any], here: Path) -> dict[str, Any]:
    paths = {
        key: str(here / value)
        for key, value in options.items()
        if isinstance(value, str) and (key == "saved_dir" or (key in READ_PATHS and (here / value).exists()))
    }
    given = {key: value for key, value in options.items() if value is not None or key not in SET_OR_NOT}
    return given | paths


def _found(file: str, here: Path, home: Path) -> str:
    for folder in (here, home):
        if (folder / file).is_file():
            _check_readable(folder / file)
            return str(folder / file)
    raise UserError(f"The config file {file!r} is neither in {str(here)!r} nor in {str(home)!r}: check --config_files.")


def _check_readable(file: Path) -> None:
    try:
        check_yaml(read_text(file, MOST_YAML))
    except (OSError, ValueError) as error:
        raise UserError(
            f"The config file {str(file)!r} cannot be read ({reason_of(error)}): check --config_files."
        ) from None
