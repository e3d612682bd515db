"""A leaderboard in the format of TextBox's `Leaderboard/*/*.md`."""

from collections.abc import Mapping, Sequence

from textbox_elmer.reports.leaderboard.rows import Leaderboard, Note, Row, note_of, numbered, scale_sentences, score
from textbox_elmer.reports.markdown import code, file_link, plain_text

ABBREVIATIONS = ("bleu", "rouge", "meteor", "nist", "spice", "em", "f1", "ter")


def to_markdown(board: Leaderboard, rows: Sequence[Row]) -> str:
    """Return ranked rows as TextBox's table: model and paper, scores, repository, generated texts.

    What TextBox's columns have no place for stands beside the model's name (how it decodes if not token by token,
    whether its protocol differs) and in footnotes (sources, protocols, our commands and commits).
    """
    order = "Ascending" if board.ascending else "Descending"
    notes = numbered(rows)
    headings = ["Model", *map(_heading, board.metrics), "Repository", "Generated Text"]
    table = [headings, ["-" * len(heading) for heading in headings]]
    table += [_cells(board, row, notes) for row in rows]
    lines = ["## LeaderBoard", "", f"{order} order by {_heading(board.sort)}.", ""]
    lines += [f"| {' | '.join(cells)} |" for cells in table]
    lines += [part for sentence in scale_sentences(board) for part in ("", sentence)]
    lines += [part for note, number in notes.items() for part in ("", f"[^{number}]: {_footnote(note)}")]
    return "".join(f"{line}\n" for line in lines)


def _cells(board: Leaderboard, row: Row, notes: Mapping[Note, int]) -> list[str]:
    name = plain_text(row.model)
    model = f"**{name} (ours)**" if row.ours else f"[{name}]({row.paper or ''})"
    note = note_of(row)
    marks = [*([row.decoding] if row.decoding not in (None, "AR") else []), *(["protocol differs"] * note.differs)]
    if marks:
        model += f" ({', '.join(marks)})"
    scores = [f"${score(row.metrics[name])}$" if name in row.metrics else "-" for name in board.metrics]
    repository = f"[Official]({row.repository})" if row.repository else ""
    texts = ""
    if row.texts:
        texts = f"[Corpus]({file_link(row.texts) if row.ours else row.texts})"
    return [f"{model}[^{notes[note]}]", *scores, repository, texts]


def _footnote(note: Note) -> str:
    if not note.ours:
        return f"Read at <{note.source}>." + (f" Protocol: {plain_text(note.protocol)}." if note.protocol else "")
    parts = [f"Ours, in {code(note.source)}"]
    if note.command:
        parts.append(f"by {code(note.command)}")
    parts.append(f"at commit {code(note.commit)}" if note.commit else "at an unknown commit")
    return ", ".join(parts) + (f" ({note.protocol})." if note.protocol else ".")


def _heading(metric: str) -> str:
    family = metric.split("-")[0]
    return metric.upper() if family in ABBREVIATIONS else metric[0].upper() + metric[1:]
