"""The command `data`: list, get, check, import and distill datasets, and build `apidoc`."""

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.table import Table

from textbox_elmer.datasets.apidoc.making import build_apidoc
from textbox_elmer.datasets.checking import check_dataset
from textbox_elmer.datasets.distillation.distill import distill_dataset
from textbox_elmer.datasets.getting import get_dataset
from textbox_elmer.datasets.importing import import_table
from textbox_elmer.datasets.listing import list_datasets
from textbox_elmer.errors import UserError
from textbox_elmer.runtime.config import split_command_line
from textbox_elmer.runtime.runs.logs import log_to_console
from textbox_elmer.suggest import nearest
from textbox_elmer.terminal import say, table_console

# Room for the largest of TextBox's datasets, 4.4 GB that unpack to some 12; what needs more is no dataset of theirs.
MAX_GB = 20.0
WIDTH = 110  # characters, where no terminal says how wide it is


def run(arguments: Sequence[str]) -> None:
    """Run `data …`, the words behind `data` given.

    Raises:
        UserError: whatever the user can put right, in one sentence.
    """
    if not arguments or arguments[0] not in _COMMANDS:
        usage = ", ".join(f"data {name}" for name in _COMMANDS)
        guess = nearest(arguments[0], _COMMANDS) if arguments else None
        hint = f"did you mean data {guess}?" if guess else "`python -m textbox_elmer --help` shows each."
        raise UserError(f"The command `data` needs one of: {usage}; {hint}")
    _COMMANDS[arguments[0]](arguments[1:])


def _list(arguments: Sequence[str]) -> None:
    _, options = _read("list", arguments, 0, "data_path")
    _show(list_datasets(_data_path(options)))
    say("Get one with: python -m textbox_elmer data get <dataset>")


def _get(arguments: Sequence[str]) -> None:
    (name,), options = _read("get <dataset> [--max_gb=20]", arguments, 1, "data_path", "max_gb")
    say(get_dataset(name, _data_path(options), _max_gb(options)))


def _check(arguments: Sequence[str]) -> None:
    (name,), options = _read("check <dataset>", arguments, 1, "data_path")
    table, warnings = check_dataset(name, _data_path(options))
    _show(table)
    for warning in warnings:
        say(f"Warning: {warning}")


def _import(arguments: Sequence[str]) -> None:
    usage = "import --hub <name[:configuration]> --source <column> --target <column> <dataset>"
    (name,), options = _read(usage, arguments, 1, "hub", "file", "source", "target", "data_path")
    if ("hub" in options) == ("file" in options):
        raise UserError("`data import` needs either --hub <name[:configuration]> or --file <path>.")
    for column in ("source", "target"):
        if column not in options:
            raise UserError(f"`data import` needs --{column} <column>: the column that holds the {column}s.")
    table = options.get("hub") or options.get("file")
    say(import_table(table, "file" in options, options["source"], options["target"], _data_path(options), name))


def _apidoc(arguments: Sequence[str]) -> None:
    _, options = _read("apidoc", arguments, 0, "data_path")
    say(build_apidoc(_data_path(options)))


def _distill(arguments: Sequence[str]) -> None:
    usage = "distill <dataset> --model_path=<a run's folder or a checkpoint> [--num_beams=1] [--batch_size=64] "
    usage += "[--model=NAME] <new dataset>"
    keys = ("model_path", "num_beams", "batch_size", "model", "data_path")
    (dataset, name), options = _read(usage, arguments, 2, *keys)
    if "model_path" not in options:
        raise UserError("`data distill` needs --model_path=<a run's folder or a checkpoint>: the model that writes.")
    numbers = _whole("num_beams", options, 1), _whole("batch_size", options, 64)
    log_to_console("warning")
    say(distill_dataset(dataset, name, _data_path(options), options["model_path"], options.get("model"), *numbers))


_COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "list": _list,
    "get": _get,
    "check": _check,
    "import": _import,
    "apidoc": _apidoc,
    "distill": _distill,
}


def _read(usage: str, arguments: Sequence[str], plain: int, *options: str) -> tuple[list[str], dict[str, str]]:
    words, given = split_command_line(arguments, options)
    if len(words) != plain:
        raise UserError(f"This command is typed: data {usage} [--data_path=dataset].")
    return words, given


def _data_path(options: dict[str, str]) -> Path:
    return Path(options.get("data_path", "dataset"))


def _max_gb(options: dict[str, str]) -> float:
    text = options.get("max_gb", str(MAX_GB))
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise UserError(f"--max_gb must be a number of gigabytes above 0, not {text!r}.")
    return number


def _whole(name: str, options: dict[str, str], default: int) -> int:
    text = options.get(name, str(default))
    if not (text.isascii() and text.isdigit() and int(text)):
        raise UserError(f"--{name} must be a whole number above 0, not {text!r}.")
    return int(text)


def _show(table: Table) -> None:
    table_console(WIDTH).print(table)
