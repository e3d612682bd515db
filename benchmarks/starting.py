"""How a benchmark is started from the command line."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from textbox_elmer.arguments import Parser
from textbox_elmer.bench.options import Options, add_options
from textbox_elmer.errors import UserError
from textbox_elmer.terminal import shown


def start(
    name: str,
    benchmark: Callable[[dict[str, Any]], None],
    options: Options,
    argv: Sequence[str] | None = None,
    example: str = "",
) -> int:
    """Run a benchmark with the options of a command line (`sys.argv` by default).

    Args:
        name: its module's, within this package.
        benchmark: takes a mapping of the options.
        options: which it has.
        example: options that are useful, for the help.

    Returns:
        the exit status: 0, or 2 after a mistake, which is said in one sentence.
    """
    program = f"python -m benchmarks.{name}"
    parser = Parser(prog=program, description=str(benchmark.__doc__).partition("\n")[0], example=f"{program} {example}")
    add_options(parser, options)
    try:
        settings = vars(parser.parse_args(sys.argv[1:] if argv is None else argv))
        benchmark({option: settings[option] for option in options})
    except UserError as error:
        print(shown(f"Error: {error}"), file=sys.stderr)
        return 2
    return 0
