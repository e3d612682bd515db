"""What a leaderboard is made of: rows, and numbered notes under a table on where they come from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

DECODING = ("AR", "NAR", "semi-NAR", "diffusion", "extractive")


@dataclass(frozen=True)
class Row:
    """One result.

    Attributes:
        model: the model's name.
        metrics: scores on the leaderboard's scale, by the names of `runtime.metrics`.
        decoding: how it writes: token by token (AR), all at once (NAR), all at once several times (semi-NAR,
            diffusion), or by copying (extractive); None if not known.
        parameters: how many it has, where known.
        paper: the address of its paper.
        repository: the address of its code or weights.
        texts: where the texts that it wrote lie.
        source: where the scores were read; of a run of ours, its folder.
        protocol: how the scoring differs from the others', if it does.
        command: what started a run of ours.
        commit: the code that a run of ours ran.
        ours: whether it is a run of ours.
    """

    model: str
    metrics: Mapping[str, float]
    source: str
    decoding: str | None = None
    parameters: int | None = None
    paper: str | None = None
    repository: str | None = None
    texts: str | None = None
    protocol: str | None = None
    command: str | None = None
    commit: str | None = None
    ours: bool = False


@dataclass(frozen=True)
class Leaderboard:
    """A dataset's results.

    Attributes:
        name: the dataset's name, as in `--dataset=NAME`.
        title: its name in full.
        task: what it is for.
        metrics: the columns.
        sort: the metric that decides.
        ascending: whether less of it is better.
        scale: what a score of ours is multiplied by to be on the published scale, for metrics where that is not 1.
        rows: published results.
    """

    name: str
    title: str
    task: str
    metrics: tuple[str, ...]
    sort: str
    ascending: bool
    rows: tuple[Row, ...]
    scale: Mapping[str, float] = field(default_factory=dict)


def ranked(board: Leaderboard, rows: Iterable[Row]) -> list[Row]:
    """Return rows, the best by the leaderboard's metric first, those without a value of it last, else as they came."""

    def rank(row: Row) -> tuple[bool, float]:
        value = row.metrics.get(board.sort)
        return value is None, 0.0 if value is None else value if board.ascending else -value

    return sorted(rows, key=rank)


@dataclass(frozen=True)
class Note:
    """What rows have in common; a run of ours has a note of its own.

    Attributes:
        source: where their scores were read, or the run's folder.
        protocol: how their scoring differs, if it does.
        command: what started the run.
        commit: the code that the run ran.
        ours: whether it is on a run of ours.
    """

    source: str
    protocol: str | None
    command: str | None
    commit: str | None
    ours: bool

    @property
    def differs(self) -> bool:
        """Whether rows with this note were scored by a protocol of their own."""
        return self.protocol is not None and not self.ours


def note_of(row: Row) -> Note:
    """Return the note that a row needs."""
    return Note(row.source, row.protocol, row.command, row.commit, row.ours)


def numbered(rows: Sequence[Row]) -> dict[Note, int]:
    """Return the notes that rows need, numbered from 1 in the order in which they are first needed."""
    return {note: number for number, note in enumerate(dict.fromkeys(note_of(row) for row in rows), start=1)}


def score(value: float) -> str:
    """Return a score with two decimals, or more where it was given with more."""
    return max(f"{value:.2f}", f"{value:.10g}", key=lambda text: len(text.partition(".")[2]))


def scale_sentences(board: Leaderboard) -> list[str]:
    """Return what the reader must know of metrics that are published on another scale than ours."""
    return [f"{name} is on the published scale: {factor:g} times ours." for name, factor in board.scale.items()]
