"""`textbox-elmer leaderboard`: options, and what is printed or written."""

import sys
from collections.abc import Sequence
from pathlib import Path

from textbox_elmer.errors import UserError
from textbox_elmer.files import write_atomically, writing
from textbox_elmer.reports.leaderboard.markdown import to_markdown
from textbox_elmer.reports.leaderboard.own_runs import read_runs
from textbox_elmer.reports.leaderboard.published import leaderboard_names, load_leaderboard
from textbox_elmer.reports.leaderboard.rows import ranked
from textbox_elmer.reports.leaderboard.terminal import PIPE_WIDTH, plain_table, show_leaderboard
from textbox_elmer.runtime.config import parse_command_line
from textbox_elmer.terminal import say, table_console

SAVED = "saved"
STANDARD_OUTPUT = "-"
FORM = "leaderboard DATASET [--saved_dir=saved] [--markdown[=FILE]]"


def main(arguments: Sequence[str]) -> None:
    """Show the leaderboard of a dataset, or, without a dataset, which leaderboards there are.

    Raises:
        UserError: an unknown dataset or option, a published row that breaks a rule, a folder or file that is not there.
    """
    if not arguments:
        _list()
        return
    dataset, *rest = arguments
    if dataset.startswith("-"):
        raise UserError(f"The command `leaderboard` names its dataset first: {FORM}.")
    options = parse_command_line(_markdown_with_value(rest))
    saved_dir, markdown = options.pop("saved_dir", None), options.pop("markdown", None)
    if options:
        raise UserError(f"`leaderboard` has no option --{next(iter(options))}: {FORM}.")
    board = load_leaderboard(dataset)
    if saved_dir is not None and not Path(str(saved_dir)).is_dir():
        raise UserError(f"There is no folder {str(saved_dir)!r}: check --saved_dir.")
    runs = read_runs(Path(str(saved_dir or SAVED)), board)
    rows = ranked(board, [*runs.rows, *board.rows])
    if markdown is None:
        show_leaderboard(board, rows, table_console(PIPE_WIDTH))
    elif markdown == STANDARD_OUTPUT:
        say(to_markdown(board, rows).removesuffix("\n"))
    else:
        _write(Path(str(markdown)), to_markdown(board, rows))
    left_out = runs.left_out()
    if left_out:
        say(left_out, file=sys.stderr)


def _markdown_with_value(words: list[str]) -> list[str]:
    """Give a bare `--markdown` the value that means standard output."""
    followers = [*words[1:], "--"]
    bare = [
        word == "--markdown" and follower.startswith("--") for word, follower in zip(words, followers, strict=False)
    ]
    return [f"{word}={STANDARD_OUTPUT}" if is_bare else word for word, is_bare in zip(words, bare, strict=True)]


def _write(path: Path, text: str) -> None:
    with writing(path, "give another --markdown"):
        write_atomically(path, text)
    say(f"The leaderboard is in {path}.")


def _list() -> None:
    console = table_console(PIPE_WIDTH)
    table = plain_table("dataset", "title", "task", "sorted by", "published rows", numbers=("published rows",))
    for name in leaderboard_names():
        board = load_leaderboard(name)
        table.add_row(board.name, board.title, board.task, board.sort, str(len(board.rows)))
    console.print(table)
