"""The command `data`: list, get, check, import and distill datasets, and build `apidoc`."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textbox_elmer.arguments import Parser, positive, whole
from textbox_elmer.errors import UserError
from textbox_elmer.terminal import say, table_console

# Room for the largest of TextBox's datasets, 4.4 GB that unpack to some 12; what needs more is no dataset of theirs.
MAX_GB = 20.0
TEACHER = "a run's folder, a checkpoint's, or a name on the hub"


def add_parser(commands: Any) -> Parser:
    """Add `data` and its commands to a parser's commands, and return its parser."""
    parser = commands.add_parser(
        "data",
        help="list, get, check, import and distill datasets",
        description="List, download, check and make datasets, which are folders below --data_path.",
        example="textbox-elmer data list",
    )
    data = parser.add_commands()
    _add(data, "list", _list, "list all datasets", "textbox-elmer data list")
    add = _add(data, "get", _get, "download a dataset that TextBox has published", "textbox-elmer data get samsum")
    add("dataset", metavar="DATASET", help="its name, as `data list` gives it")
    add(
        "--max_gb",
        type=positive,
        default=MAX_GB,
        metavar="GB",
        help="the most gigabytes to download, and to unpack (default: %(default)g)",
    )
    add = _add(data, "check", _check, "count a dataset's texts and look for faults", "textbox-elmer data check samsum")
    add("dataset", metavar="DATASET", help="a folder's name")
    add = _add(
        data,
        "import",
        _import,
        "make a dataset out of a table of the hub, or of a CSV, TSV, JSON or Parquet file",
        "textbox-elmer data import --file table.csv --source question --target answer mytable",
    )
    add("--hub", metavar="NAME[:CONFIGURATION]", help="a dataset on the hub, if not --file")
    add("--file", metavar="PATH", help="a table, or a folder of tables called by their splits, if not --hub")
    for side in ("source", "target"):
        add(f"--{side}", required=True, metavar="COLUMN", help=f"the column that holds the {side}s")
    add("dataset", metavar="DATASET", help="the name of what is made")
    apidoc = "build the dataset apidoc out of the descriptions of web services in the package botocore"
    _add(data, "apidoc", _apidoc, apidoc, "textbox-elmer data apidoc")
    add = _add(
        data,
        "distill",
        _distill,
        "make a dataset whose training targets a trained model writes; repeat the command to go on with it",
        "textbox-elmer data distill apidoc --model_path=saved/teacher apidoc-distilled",
    )
    add("dataset", metavar="DATASET", help="whose training sources are read")
    add("new", metavar="NEW", help="the name of what is made")
    add("--model_path", required=True, metavar="PATH", help=TEACHER)
    add("--num_beams", type=whole, default=1, metavar="N", help="beams to write with (default: %(default)s)")
    add("--batch_size", type=whole, default=64, metavar="N", help="texts written at once (default: %(default)s)")
    add("--model", metavar="NAME", help="which model that is, such as BART (default: what the checkpoint says)")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Do what a parsed command line asks for.

    Raises:
        UserError: whatever the user can put right, in one sentence.
    """
    arguments.action(arguments)


def _add(
    data: Any, name: str, action: Callable[[argparse.Namespace], None], does: str, example: str
) -> Callable[..., argparse.Action]:
    """Add one of the commands and return what adds its arguments."""
    parser = data.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}.", example=example)
    parser.set_defaults(action=action)
    parser.add_argument(
        "--data_path",
        type=Path,
        default="dataset",
        metavar="FOLDER",
        help="the folder of datasets (default: %(default)s)",
    )
    return parser.add_argument


def _list(arguments: argparse.Namespace) -> None:
    from textbox_elmer.datasets.listing import list_datasets

    table_console().print(list_datasets(arguments.data_path))
    say("Get one with: python -m textbox_elmer data get <dataset>")


def _get(arguments: argparse.Namespace) -> None:
    from textbox_elmer.datasets.getting import get_dataset

    say(get_dataset(arguments.dataset, arguments.data_path, arguments.max_gb))


def _check(arguments: argparse.Namespace) -> None:
    from textbox_elmer.datasets.checking import check_dataset

    table, warnings = check_dataset(arguments.dataset, arguments.data_path)
    table_console().print(table)
    for warning in warnings:
        say(f"Warning: {warning}")


def _import(arguments: argparse.Namespace) -> None:
    from textbox_elmer.datasets.importing import import_table

    if (arguments.hub is None) == (arguments.file is None):
        raise UserError("`data import` needs either --hub <name[:configuration]> or --file <path>.")
    table, is_file = arguments.hub or arguments.file, arguments.hub is None
    say(import_table(table, is_file, arguments.source, arguments.target, arguments.data_path, arguments.dataset))


def _apidoc(arguments: argparse.Namespace) -> None:
    from textbox_elmer.datasets.apidoc.making import build_apidoc

    say(build_apidoc(arguments.data_path))


def _distill(arguments: argparse.Namespace) -> None:
    from textbox_elmer.datasets.distillation.distill import distill_dataset
    from textbox_elmer.runtime.runs.logs import log_to_console

    log_to_console("warning")
    teacher = arguments.model_path, arguments.model, arguments.num_beams
    say(distill_dataset(arguments.dataset, arguments.new, arguments.data_path, *teacher, arguments.batch_size))
