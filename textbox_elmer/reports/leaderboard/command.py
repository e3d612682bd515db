"""`leaderboard`: your runs on a dataset among published results."""

import argparse
import sys
from pathlib import Path
from typing import Any

from textbox_elmer.arguments import Parser
from textbox_elmer.errors import UserError
from textbox_elmer.files import write_atomically, writing
from textbox_elmer.terminal import say, table_console

SAVED = "saved"
STANDARD_OUTPUT = "-"
EXAMPLE = "textbox-elmer leaderboard xsum --markdown=xsum.md"


def add_parser(commands: Any) -> Parser:
    """Add `leaderboard` to a parser's commands, and return its parser."""
    parser = commands.add_parser(
        "leaderboard",
        help="set your runs on a dataset among published results",
        description="Set your runs on a dataset among published results, or list the datasets that have a leaderboard.",
        example=EXAMPLE,
    )
    add = parser.add_argument
    add("dataset", nargs="?", metavar="DATASET", help="whose results to show (default: list all)")
    add("--saved_dir", metavar="FOLDER", help=f"where your runs are (default: {SAVED})")
    add(
        "--markdown",
        nargs="?",
        const=STANDARD_OUTPUT,
        metavar="FILE",
        help="write the table as TextBox's Leaderboard folder has it, to a file or by default standard output",
    )
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Show the leaderboard of a dataset, or, without a dataset, which leaderboards there are.

    Raises:
        UserError: an unknown dataset, a published row that breaks a rule, a folder or file that is not there.
    """
    if arguments.dataset is not None:
        _show(arguments.dataset, arguments.saved_dir, arguments.markdown)
    elif arguments.saved_dir or arguments.markdown:
        raise UserError(f"The command `leaderboard` names its dataset first: {EXAMPLE}.")
    else:
        _list()


def _show(dataset: str, saved_dir: str | None, markdown: str | None) -> None:
    from textbox_elmer.reports.leaderboard.markdown import to_markdown
    from textbox_elmer.reports.leaderboard.own_runs import read_runs
    from textbox_elmer.reports.leaderboard.published import load_leaderboard
    from textbox_elmer.reports.leaderboard.rows import ranked
    from textbox_elmer.reports.leaderboard.terminal import PIPE_WIDTH, show_leaderboard

    board = load_leaderboard(dataset)
    if saved_dir is not None and not Path(saved_dir).is_dir():
        raise UserError(f"There is no folder {saved_dir!r}: check --saved_dir.")
    runs = read_runs(Path(saved_dir or SAVED), board)
    rows = ranked(board, [*runs.rows, *board.rows])
    if markdown is None:
        show_leaderboard(board, rows, table_console(PIPE_WIDTH))
    elif markdown == STANDARD_OUTPUT:
        say(to_markdown(board, rows).removesuffix("\n"))
    else:
        _write(Path(markdown), to_markdown(board, rows))
    if left_out := runs.left_out():
        say(left_out, file=sys.stderr)


def _write(path: Path, text: str) -> None:
    with writing(path, "give another --markdown"):
        write_atomically(path, text)
    say(f"The leaderboard is in {path}.")


def _list() -> None:
    from textbox_elmer.reports.leaderboard.published import leaderboard_names, load_leaderboard
    from textbox_elmer.reports.leaderboard.terminal import PIPE_WIDTH, plain_table

    console = table_console(PIPE_WIDTH)
    table = plain_table("dataset", "title", "task", "sorted by", "published rows", numbers=("published rows",))
    for name in leaderboard_names():
        board = load_leaderboard(name)
        table.add_row(board.name, board.title, board.task, board.sort, str(len(board.rows)))
    console.print(table)
