"""`compare`: several models trained alike, side by side."""

import argparse
from pathlib import Path
from typing import Any

from textbox_elmer.arguments import Parser, whole
from textbox_elmer.runtime.config import parse_command_line

DESCRIPTION = """\
Train several models alike, or go on with it, and set their scores and their speed side by side. Any further --key=value
is an option of every run, as `textbox-elmer options` lists them, and so is --config_files a.yaml b.yaml."""


def add_parser(commands: Any) -> Parser:
    """Add `compare` to a parser's commands, and return its parser."""
    parser = commands.add_parser(
        "compare",
        help="train several models alike and set them side by side",
        description=DESCRIPTION,
        example="textbox-elmer compare --models ELMER,BART,T5 --dataset=apidoc --seeds 3",
        open_ended=True,
    )
    add = parser.add_argument
    add(
        "--models",
        required=True,
        metavar="NAME[,NAME…]",
        help="what to compare; the differences of the others to the first are tested",
    )
    add("-d", "--dataset", required=True, metavar="NAME", help="a folder below --data_path")
    add("--seeds", type=whole, default=1, metavar="N", help="runs of each model (default: %(default)s)")
    add("--resamples", type=whole, default=1000, metavar="N", help="resamples of the bootstrap (default: %(default)s)")
    add("--out", type=Path, metavar="FOLDER", help="where it all goes (default: saved/compare-<dataset>)")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Do what a parsed command line asks for.

    Raises:
        UserError: whatever the user can put right.
    """
    from textbox_elmer.reports.compare.comparing import compare
    from textbox_elmer.reports.compare.plan import read_plan

    models, options = arguments.models.strip("[]").split(","), parse_command_line(arguments.more)
    plan = read_plan(models, arguments.dataset, arguments.seeds, arguments.resamples, arguments.out, options)
    compare(plan, arguments.typed)
