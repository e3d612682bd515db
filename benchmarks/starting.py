"""How a benchmark is started from the command line."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from textbox_elmer.errors import UserError
from textbox_elmer.runtime.config import parse_command_line
from textbox_elmer.terminal import shown


def start(benchmark: Callable[[dict[str, Any]], None], argv: Sequence[str] | None = None) -> int:
    """Run a benchmark with the options of a command line (`sys.argv` by default).

    Returns:
        the exit status: 0, or 2 after a mistake, which is said in one sentence.
    """
    try:
        benchmark(parse_command_line(sys.argv[1:] if argv is None else argv))
    except UserError as error:
        print(shown(f"Error: {error}"), file=sys.stderr)
        return 2
    return 0
