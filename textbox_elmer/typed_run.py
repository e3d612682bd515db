"""A run as TextBox's users type it: `--model=M --dataset=D --key=value`, once or as several trials, on either host."""

import os
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from textbox_elmer.errors import UserError
from textbox_elmer.runtime.config import parse_command_line, resolve_config
from textbox_elmer.runtime.config.command_line import TRIALS
from textbox_elmer.runtime.config.values import check_value
from textbox_elmer.textbox_plugin.checkout import VARIABLE

OFF = ("", "false", "none")  # what is typed for --textbox_home to run in no checkout


def run_typed(words: Sequence[str]) -> None:
    """Do what a command line of options asks for.

    Raises:
        UserError: whatever the user can put right.
    """
    options = parse_command_line(words)
    files = options.pop("config_files", [])
    command = shlex.join([sys.argv[0], *words])
    home = options.pop("textbox_home", os.environ.get(VARIABLE, ""))
    asked = {key: options.pop(key, None) for key in TRIALS}
    trials = {key: value for key, value in asked.items() if value is not None and value is not False}
    if trials and home.lower() not in OFF:
        raise UserError(f"--{next(iter(trials))} is not for a checkout: its run_multi_seed.py and run_hyper.py are.")
    if trials:
        _run_trials(trials, options, files)
    elif home.lower() in OFF:
        from textbox_elmer.runtime.experiment import run_experiment
        from textbox_elmer.runtime.runs.logs import quiet_libraries

        quiet_libraries()
        run_experiment(resolve_config(None, None, files, None, options), command)
    else:
        from textbox_elmer.textbox_plugin import host

        host.run(home, {key: _checked(key, value) for key, value in options.items()}, files, command)


def _run_trials(trials: dict[str, Any], options: dict[str, Any], files: list[str]) -> None:
    from textbox_elmer.trials.hyper import run_hyper
    from textbox_elmer.trials.multi_seed import run_multi_seed

    if "multi_seed" in trials and len(trials) == 1:
        run_multi_seed(trials["multi_seed"], options, files)
    elif "space" in trials and "multi_seed" not in trials:
        run_hyper(trials["space"], trials.get("algo", "exhaustive"), trials.get("max_evals"), options, files)
    else:
        raise UserError("Give either --multi_seed, or --space with --algo and --max_evals if you like.")


def _checked(key: str, value: object) -> object:
    # A checkout has tasks of its own.
    return value if key == "pretrain_task" else check_value(key, value, "command line")
