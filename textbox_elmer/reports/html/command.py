"""`report`: one HTML page to look at runs."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textbox_elmer.arguments import Parser
from textbox_elmer.errors import UserError
from textbox_elmer.files import write_atomically, writing
from textbox_elmer.terminal import say

DEFAULT_OUT = "report.html"


def add_parser(commands: Any) -> Parser:
    """Add `report` to a parser's commands, and return its parser."""
    parser = commands.add_parser(
        "report",
        help="write one HTML page to look at runs",
        description="Write one HTML page of runs side by side: curves, scores, examples with their exit layers.",
        example="textbox-elmer report saved/<run> saved/<another run> --out=both.html",
        many="runs",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a finished run's folder")
    parser.add_argument("--out", default=DEFAULT_OUT, metavar="FILE", help="the page (default: %(default)s)")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Write the report that a parsed command line asks for, and say on stdout where it is and what it lacks.

    Raises:
        UserError: a folder that is no finished run's or is named twice, a place that cannot be written.
    """
    from textbox_elmer.reports.html.page import render
    from textbox_elmer.reports.html.runs import read_run

    folders = [Path(run) for run in arguments.runs]
    _check_folders(folders)
    out = _checked_out(arguments.out)
    runs = [read_run(folder) for folder in folders]
    html = render(runs)
    with writing(out, "give another --out"):
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, html)
    for run in runs:
        for sentence in run.missing:
            say(f"{run.folder}: {sentence}")
    say(f"The report is in {out}")


def _check_folders(folders: Sequence[Path]) -> None:
    for folder in folders:
        if sum(folder.resolve() == other.resolve() for other in folders) > 1:
            raise UserError(f"{str(folder)!r} is named twice: name each run once.")


def _checked_out(name: str) -> Path:
    if not name.endswith((".html", ".htm")):
        raise UserError(f"--out={name} must end in .html, so that nothing else is overwritten by mistake.")
    out = Path(name)
    if out.is_dir():
        raise UserError(f"--out={name!r} is a folder: give a file, such as {out / DEFAULT_OUT}.")
    return out
