"""The registry as a table: on the terminal, and as docs/models.md."""

import argparse
from typing import Any

from rich.table import Table

from textbox_elmer.arguments import Parser
from textbox_elmer.runtime.catalogue.model_spec import ModelSpec
from textbox_elmer.runtime.catalogue.models import ELSEWHERE, MODELS
from textbox_elmer.terminal import table_console

COLUMNS = ("name", "transformers' model_type", "kind", "source", "target", "checkpoints", "notes")
PIPE = r"\|"  # in a cell
PAGE = """\
# Models

<!-- Generated: python -m textbox_elmer models --markdown > docs/models.md -->

What `--model=` takes; case, hyphens and underscores do not matter. In brackets are the names that TextBox's command
line uses where they differ. Without `--model_path` a small model is trained from scratch, with a tokenizer trained on
the dataset, which spells the special tokens as this table does; with it, the checkpoint's own tokenizer spells them.

Source and target are what the model reads and learns, `src` and `tgt` being the texts, as in TextBox's table of
formats. "From" is the token that the decoder starts from, "first" the one that generation forces to come first. A
causal model reads source and target as one row. It learns the target alone; its sources are padded on the left in
generation, and cut from what it writes. `tgt_len`, and `max_length` and `min_length` in `generation_kwargs`, count the
target's tokens alone; together with `src_len` they must fit into its positions. `src_lang` and `tgt_lang` stand for
the tokens of the languages that the options of these names give.

{table}

These run in TextBox alone, by `--textbox_home`:

{elsewhere}
"""


def add_parser(commands: Any) -> Parser:
    """Add `models` to a parser's commands, and return its parser."""
    does = "list the models and the special tokens around their texts"
    example = "textbox-elmer models --markdown > docs/models.md"
    parser = commands.add_parser("models", help=does, description=f"{does[0].upper()}{does[1:]}.", example=example)
    parser.add_argument("--markdown", action="store_true", help="print docs/models.md instead of a table")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Print the table that a parsed command line asks for."""
    if arguments.markdown:
        print(_page(), end="")
    else:
        _print_table()


def _page() -> str:
    """Return docs/models.md."""
    rows = [COLUMNS, ("---",) * len(COLUMNS), *(_row(spec) for spec in MODELS.values())]
    table = "\n".join(f"| {' | '.join(cell.replace('|', PIPE) for cell in row)} |" for row in rows)
    elsewhere = "\n".join(f"- `{name}` {reason}." for name, reason in ELSEWHERE.items())
    return PAGE.format(table=table, elsewhere=elsewhere)


def _print_table() -> None:
    """Print names, kinds and formats on the terminal."""
    table = Table(*COLUMNS[:5])
    for spec in MODELS.values():
        table.add_row(*(cell.replace("`", "") for cell in _row(spec)[:5]))
    table_console().print(table)


def _row(spec: ModelSpec) -> tuple[str, ...]:
    form = spec.format
    name = f"`{spec.name}`" + "".join(f" (`{other}`)" for other in spec.also)
    model_type = f"`{spec.model_type}`" + (f" of two `{spec.half}`" if spec.half else "")
    target = [f"`{form.show(form.target, 'tgt')}`"]
    others = {} if spec.parallel else {"from": form.start, "first": form.forced}
    target += [f"{word} `{form.show(role, '')[1:-1]}`" for word, role in others.items() if role]
    checkpoints = ", ".join(f"`{checkpoint}`" for checkpoint in spec.checkpoints) or "-"
    return (
        name,
        model_type,
        spec.kind,
        f"`{form.show(form.source, 'src')}`",
        ", ".join(target),
        checkpoints,
        spec.notes or "-",
    )
