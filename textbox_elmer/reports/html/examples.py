"""The examples that a report shows: which ones, a sample and those at the ends of what can be measured, and how."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from textbox_elmer.reports.html.scoring import Scores
from textbox_elmer.reports.html.tested_alike import Group, Member
from textbox_elmer.reports.html.tokens import Token, tokens_of
from textbox_elmer.text.lines import references_of

SAMPLE = 20
EXTREMES = 5  # of each kind
EXTREMES_OF_EACH = 3  # of each kind and run, where runs are compared


@dataclass(frozen=True)
class Pick:
    """One example, and why it is shown."""

    index: int
    reason: str = ""


@dataclass(frozen=True)
class Selection:
    """Examples under one heading; `note` says how they were found, or why there are none."""

    key: str
    title: str
    note: str
    picks: list[Pick]


def words(text: str) -> list[str]:
    """Return a text's words: what stands between blanks."""
    return text.split()


def repetition(text: str) -> float:
    """Return the share of a text's pairs of neighbouring words that it had written before."""
    found = words(text)
    pairs = list(pairwise(found))
    return 1 - len(set(pairs)) / len(pairs) if pairs else 0.0


def difference(one: str, other: str) -> float:
    """Return the share of two texts' words that the other does not have, whatever their order: 0 for the same."""
    ours, theirs = Counter(words(one)), Counter(words(other))
    total = ours.total() + theirs.total()
    return 1 - 2 * (ours & theirs).total() / total if total else 0.0


def select(group: Group) -> list[Selection]:
    """Choose a group's examples."""
    selections = [_sample(group), _longest(group), _worst(group), _repetitive(group)]
    if len(group.tested) > 1:
        selections = [*_differing(group), *selections]
    return selections


def _sample(group: Group) -> Selection:
    """Spread a sample evenly over the test, over those texts whose tokens' confidences are known if some are."""
    traced = [member.run.traces for member in group.tested if member.run.traces]
    known = [i for i in range(group.examples) if all(traces[i].scores is not None for traces in traced)]
    numbers = known or list(range(group.examples))
    count = min(SAMPLE, len(numbers))
    picks = [Pick(numbers[place * len(numbers) // count]) for place in range(count)]
    return Selection("sample", "Sample", f"{count} of {group.examples:,} test examples, spread evenly.", picks)


def _longest(group: Group) -> Selection:
    lengths = [(member, [len(words(text)) for text in member.run.texts]) for member in group.tested]
    picks = _extremes(group, lengths, "{:.0f} words")
    return Selection("longest", "Longest outputs", "By their number of words.", picks)


def _worst(group: Group) -> Selection:
    scored = _scored(group)
    if not scored:
        return Selection("worst", "Worst outputs", "Without references there are no scores to go by.", [])
    values = [(member, [-value for value in scores.values]) for member, scores in scored]
    picks = _extremes(group, values, "score {:.2f}", -1)
    return Selection("worst", "Worst outputs", f"By the score of each text: {scored[0][1].title}.", picks)


def _scored(group: Group) -> list[tuple[Member, Scores]]:
    return [(member, member.run.scores) for member in group.tested if member.run.scores]


def _repetitive(group: Group) -> Selection:
    shares = [(member, [100 * repetition(text) for text in member.run.texts]) for member in group.tested]
    picks = _extremes(group, shares, "{:.0f} % repeated", above=0)
    note = "By the share of word pairs that the text had written before."
    return Selection(
        "repetitive", "Most repetitive outputs", note if picks else "No output repeats a word pair.", picks
    )


def _extremes(
    group: Group,
    measured: Iterable[tuple[Member, Sequence[float]]],
    reason: str,
    sign: int = 1,
    above: float = float("-inf"),
) -> list[Pick]:
    """Return each run's examples of the largest measure; of equal ones the first."""
    several = len(group.tested) > 1
    reasons: dict[int, list[str]] = {}
    for member, values in measured:
        order = sorted(range(len(values)), key=lambda index: -values[index])
        for index in order[: EXTREMES_OF_EACH if several else EXTREMES]:
            if values[index] > above:
                said = reason.format(sign * values[index] + 0.0)
                reasons.setdefault(index, []).append(f"{member.letter}: {said}" if several else said)
    return [Pick(index, ", ".join(said)) for index, said in reasons.items()]


def _differing(group: Group) -> list[Selection]:
    texts = [member.run.texts for member in group.tested]
    pairs = list(combinations(range(len(texts)), 2))
    apart = [max(difference(texts[a][i], texts[b][i]) for a, b in pairs) for i in range(group.examples)]
    same = sum(len({run[i] for run in texts}) == 1 for i in range(group.examples))
    by_text = Selection(
        "apart",
        "Where the texts differ most",
        f"By the share of words that two runs' texts have not in common. All runs write the same text for {same:,} of "
        f"{group.examples:,} examples.",
        _largest(apart, lambda value: f"{100 * value:.0f} % of the words"),
    )
    return [*_score_gaps(group), by_text]


def _score_gaps(group: Group) -> list[Selection]:
    scored = _scored(group)
    key, title = "gaps", "Where the scores differ most"
    if len(scored) < 2:
        return [Selection(key, title, "Without references there are no scores to compare.", [])]
    titles = {scores.title for _, scores in scored}
    if len(titles) > 1:
        return [Selection(key, title, "The runs were scored by different metrics.", [])]
    columns = list(zip(*(scores.values for _, scores in scored), strict=True))
    gaps = [max(column) - min(column) for column in columns]
    best = Counter(
        member.letter
        for column in columns
        for (member, _), value in zip(scored, column, strict=True)
        if value == max(column) and column.count(value) == 1
    )
    ahead = ", ".join(f"{member.letter} in {best[member.letter]:,}" for member, _ in scored)
    note = f"By {titles.pop()}. Best alone of {group.examples:,} examples: {ahead}."
    return [Selection(key, title, note, _largest(gaps, lambda value: f"{value:.2f} apart"))]


def _largest(values: Sequence[float], say: Callable[[float], str]) -> list[Pick]:
    order = sorted(range(len(values)), key=lambda index: -values[index])
    return [Pick(index, say(values[index])) for index in order[:EXTREMES] if values[index] > 0]


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
    return Example(
        number=index + 1,
        reason=pick.reason,
        source=None if split is None else split.source[index],
        references=[] if split is None else references_of(split.target[index]),
        outputs=[_output(member, index) for member in group.tested],
    )


def _output(member: Member, index: int) -> Output:
    run = member.run
    scores = None if run.scores is None else run.scores.values[index]
    tokens = tokens_of(run.traces[index], run.legend) if run.traces else []
    return Output(member, run.texts[index], tokens, scores)
