"""A leaderboard on the terminal, or in a pipe of 100 columns."""

import textwrap
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from textbox_elmer.reports.leaderboard.rows import Leaderboard, Note, Row, note_of, numbered, scale_sentences, score

PIPE_WIDTH = 100


def plain_table(*headings: str, numbers: Sequence[str] = ()) -> Table:
    """Return an empty table without frames; the columns in `numbers` are aligned to the right."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1), collapse_padding=True)
    for heading in headings:
        right = heading in numbers
        table.add_column(heading, justify="right" if right else "left", no_wrap=right)
    return table


def show_leaderboard(board: Leaderboard, rows: Sequence[Row], console: Console) -> None:
    """Print ranked rows as a table, and the notes on where they come from."""
    order = "ascending" if board.ascending else "descending"
    console.print(f"{board.title} ({board.name}), in {order} order of {board.sort}", style="bold", highlight=False)
    if not rows:
        console.print("No published row was found, and there is no run of yours.")
        return
    console.print()
    notes = numbered(rows)
    table = plain_table("model", "type", "size", *board.metrics, "note", numbers=("size", *board.metrics, "note"))
    for row in rows:
        scores = [score(row.metrics[name]) if name in row.metrics else "-" for name in board.metrics]
        name = f"{row.model} (ours)" if row.ours else row.model
        note = note_of(row)
        cells = [row.decoding or "-", _size(row.parameters), *scores, f"{notes[note]}{'*' if note.differs else ' '}"]
        table.add_row(name, *cells, style="bold" if row.ours else None)
    console.print(table)
    console.print()
    for note, number in notes.items():
        for line in _note_lines(note, number):
            console.print(line, soft_wrap=True, highlight=False)
    if any(note.differs for note in notes):
        console.print("* scored by a protocol of its own, which the note names")
    for sentence in scale_sentences(board):
        console.print(sentence)


def _note_lines(note: Note, number: int) -> list[str]:
    """Return a note's lines: what it says, wrapped, and what must stay in one piece to be copied."""
    head = f"{number:>4}  "
    indent = " " * len(head)
    source = f"ours, in {note.source}" if note.ours else note.source
    lines = [head + source]
    if note.protocol:
        lines += textwrap.wrap(note.protocol, PIPE_WIDTH, initial_indent=indent, subsequent_indent=indent)
    if note.command:
        lines.append(f"{indent}$ {note.command}")
    if note.ours:
        lines.append(f"{indent}commit {note.commit or 'unknown'}")
    return lines


def _size(parameters: int | None) -> str:
    if parameters is None:
        return "-"
    return f"{parameters / 1e6:.0f}M" if parameters >= 10_000_000 else f"{parameters / 1e6:.1f}M"
