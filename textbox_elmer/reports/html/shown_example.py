"""One example as the page shows it: its source, its references, and what each run wrote."""

from dataclasses import dataclass

from textbox_elmer.reports.html.examples import Pick
from textbox_elmer.reports.html.tested_alike import Group, Member
from textbox_elmer.reports.html.tokens import Token, tokens_of


@dataclass(frozen=True)
class Output:
    """What a run wrote, with its tokens if the run kept them, and its score if there are references."""

    member: Member
    text: str
    tokens: list[Token]
    score: float | None


@dataclass(frozen=True)
class Example:
    """One example; without source and references where they are gone."""

    number: int
    reason: str
    source: str | None
    references: list[str]
    outputs: list[Output]


def show_example(group: Group, pick: Pick) -> Example:
    """Gather one example from a group's runs."""
    index, split = pick.index, group.tested[0].run.split
    target = [] if split is None else split.target[index]
    return Example(
        number=index + 1,
        reason=pick.reason,
        source=None if split is None else split.source[index],
        references=[target] if isinstance(target, str) else target,
        outputs=[_output(member, index) for member in group.tested],
    )


def _output(member: Member, index: int) -> Output:
    run = member.run
    scores = None if run.scores is None else run.scores.values[index]
    tokens = tokens_of(run.traces[index], run.legend) if run.traces else []
    return Output(member, run.texts[index], tokens, scores)
