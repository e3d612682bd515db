"""`textbox-elmer report`: options, and the way from run folders to a file."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from textbox_elmer.errors import UserError
from textbox_elmer.files import write_atomically, writing
from textbox_elmer.reports.html.page import render
from textbox_elmer.reports.html.runs import read_run
from textbox_elmer.runtime.config import parse_command_line
from textbox_elmer.terminal import say

DEFAULT_OUT = "report.html"
EXAMPLE = "report saved/<run> [more runs …] [--out=report.html]"


def report(arguments: Sequence[str]) -> None:
    """Write the report that a command line asks for, and say on stdout where it is and what it lacks.

    Raises:
        UserError: a mistyped command, a folder that is no finished run's, a place that cannot be written.
    """
    folders, out = read_arguments(arguments)
    _check_out(out)
    runs = [read_run(folder) for folder in folders]
    html = render(runs)
    with writing(out, "give another --out"):
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, html)
    for run in runs:
        for sentence in run.missing:
            say(f"{run.folder}: {sentence}")
    say(f"The report is in {out}")


def read_arguments(arguments: Sequence[str]) -> tuple[list[Path], Path]:
    """Return the run folders that were typed, and the file to write.

    Raises:
        UserError: no folder, one twice, an unknown option, a file that is no .html.
    """
    folders, typed = [], []
    words = iter(arguments)
    for word in words:
        if not word.startswith("-"):
            folders.append(Path(word))
        else:
            typed += [word] if "=" in word else [word, *islice(words, 1)]
    options = parse_command_line(typed)
    out = str(options.pop("out", DEFAULT_OUT))
    if options:
        raise UserError(f"The command `report` has no option --{next(iter(options))}: it is {EXAMPLE}.")
    if not folders:
        raise UserError(f"The command `report` needs a run's folder: {EXAMPLE}.")
    for folder in folders:
        if sum(folder.resolve() == other.resolve() for other in folders) > 1:
            raise UserError(f"{str(folder)!r} is named twice: name each run once.")
    if not out.endswith((".html", ".htm")):
        raise UserError(f"--out={out} must end in .html, so that nothing else is overwritten by mistake.")
    return folders, Path(out)


def _check_out(out: Path) -> None:
    if out.is_dir():
        raise UserError(f"--out={str(out)!r} is a folder: give a file, such as {out / DEFAULT_OUT}.")
