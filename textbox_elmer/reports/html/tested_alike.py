"""Runs side by side: those that were tested on the same examples belong together."""

from dataclasses import dataclass
from pathlib import Path

from textbox_elmer.reports.html.runs import Run
from textbox_elmer.runtime.data.folder import quick_test_limit


@dataclass(frozen=True)
class Member:
    """A run in a report: its letter, its place among the colours, and what it left."""

    letter: str
    place: int
    run: Run

    @property
    def name(self) -> str:
        """What the run is called beside others."""
        return f"{self.letter} · {self.run.results['model']}"


@dataclass(frozen=True)
class Group:
    """Runs whose examples are the same ones."""

    members: list[Member]

    @property
    def dataset(self) -> str:
        """The name of their dataset."""
        return self.members[0].run.results["dataset"]

    @property
    def tested(self) -> list[Member]:
        """Those with texts."""
        return [member for member in self.members if member.run.texts]

    @property
    def examples(self) -> int:
        """How many examples each run was tested on."""
        return len(self.tested[0].run.texts) if self.tested else 0


def letters(place: int) -> str:
    """Return A, B, …, Z, AA, AB, … for 0, 1, …."""
    first, last = divmod(place, 26)
    return (letters(first - 1) if first else "") + chr(ord("A") + last)


def group_runs(runs: list[Run]) -> list[Group]:
    """Put runs together by the examples that they were tested on, in the order given."""
    groups: dict[tuple, list[Member]] = {}
    for place, run in enumerate(runs):
        folder = Path(run.config["data_path"] or "dataset") / run.results["dataset"]
        examples = (quick_test_limit(run.config["quick_test"]), len(run.texts), run.split is not None)
        key = (folder, *(examples if run.texts else ()))
        groups.setdefault(key, []).append(Member(letters(place), place, run))
    return [Group(members) for members in groups.values()]
