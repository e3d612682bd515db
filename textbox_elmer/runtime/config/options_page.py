"""Every configuration key as a table: on the terminal, and as docs/options.md."""

import argparse
from typing import Any

import yaml
from rich import box
from rich.table import Table

from textbox_elmer.arguments import Parser
from textbox_elmer.runtime.config.keys import GROUPS, KEYS, MODEL_KEYS, Key
from textbox_elmer.runtime.config.properties import find_property_file
from textbox_elmer.runtime.config.values import read_yaml
from textbox_elmer.terminal import table_console

COLUMNS = ("key", "default", "values", "meaning")
KINDS = {
    "int": "whole number",
    "float": "number",
    "str": "text",
    "bool": "True, False",
    "count": "True, False, number",
    "list": "list",
    "dict": "mapping",
}
PIPE = r"\|"  # in a cell
PAGE = """\
# Options

<!-- Generated: python -m textbox_elmer options --markdown > docs/options.md -->

Every configuration key: `--key=value` on the command line, `key: value` in a file given by `--config_files`. The
defaults are those of `properties/overall.yaml`; `properties/model/<model>.yaml` and `properties/dataset/<dataset>.yaml`
may have others. A model's further fields (`d_model`, `encoder_layers`, `dropout`, …) are options, too, under their
names in its configuration.
"""


def add_parser(commands: Any) -> Parser:
    """Add `options` to a parser's commands, and return its parser."""
    does = "list every configuration key with its default and its meaning"
    example = "textbox-elmer options --markdown > docs/options.md"
    parser = commands.add_parser("options", help=does, description=f"{does[0].upper()}{does[1:]}.", example=example)
    parser.add_argument("--markdown", action="store_true", help="print docs/options.md instead of a table")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Print the table that a parsed command line asks for."""
    if arguments.markdown:
        print(_page(), end="")
    else:
        _print_table()


def _page() -> str:
    """Return docs/options.md."""
    parts = [PAGE]
    for group in GROUPS:
        rows = [COLUMNS, ("---",) * len(COLUMNS)]
        rows += [(f"`{key}`", f"`{default}`" if default else "-", *rest) for key, default, *rest in _rows(group)]
        table = "\n".join(f"| {' | '.join(cell.replace('|', PIPE) for cell in row)} |" for row in rows)
        parts.append(f"## {group}\n\n{table}\n")
    return "\n".join(parts)


def _print_table() -> None:
    """Print keys, defaults and meanings on the terminal."""
    console = table_console()
    for group in GROUPS:
        table = Table(*COLUMNS, title=group, title_justify="left", box=box.SIMPLE)
        for row in _rows(group):
            table.add_row(*row)
        console.print(table)


def _rows(group: str) -> list[tuple[str, str, str, str]]:
    overall = find_property_file("", "overall")
    defaults = read_yaml(overall) if overall else {}
    known = (KEYS | MODEL_KEYS).items()
    return [(name, _shown(defaults.get(name)), _values(key), key.meaning) for name, key in known if key.group == group]


def _shown(value: object) -> str:
    """Return a value as it is typed."""
    if value is None or isinstance(value, str):
        return value or ""
    return yaml.safe_dump(value, default_flow_style=True, width=1000).split("\n")[0].strip()


def _values(key: Key) -> str:
    if key.choices:
        return ", ".join(key.choices)
    limits = [f"{'above' if key.above else 'from'} {key.minimum:,}"] if key.minimum is not None else []
    limits += [f"to {key.maximum:,}"] if key.maximum is not None else []
    return " ".join([KINDS[key.kind], *limits])
