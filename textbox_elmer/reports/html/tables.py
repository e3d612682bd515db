"""The rows of the page's tables."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from textbox_elmer.reports.html.tested_alike import Group, Member
from textbox_elmer.runtime.training.selection import LOWER_IS_BETTER


@dataclass(frozen=True)
class Cell:
    """A table's cell; `best` where runs are compared and this one wins."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Latency:
    """How fast a run's model wrote; `share` is its bar's length in percent of the slowest's."""

    member: Member
    milliseconds: str
    per_second: str
    batch_size: str
    share: float


def score_rows(group: Group) -> list[tuple[str, list[Cell]]]:
    """Return a row for each metric, and for what else sums up a run: its name and a cell for each run."""
    results = [member.run.results for member in group.members]
    names = dict.fromkeys(name for result in results for name in result.get("metrics", {}))
    rows = [(name, _metric_cells([result.get("metrics", {}).get(name) for result in results], name)) for name in names]
    others: tuple[tuple[str, Callable[[Mapping[str, Any]], Any], str], ...] = (
        ("test loss (nats per token)", lambda result: result.get("loss"), ".3f"),
        ("mean exit layer (from 0)", lambda result: result.get("mean_exit_layer"), ".2f"),
        ("mean layer since which words stay", lambda result: result.get("mean_settled_layer"), ".2f"),
        ("copied words", lambda result: result.get("copied_words"), ".1%"),
        ("distinct texts", lambda result: result.get("distinct_texts"), ",.0f"),
        ("repeated words", lambda result: result.get("repeated_words"), ".1%"),
        ("training steps", lambda result: result.get("training", {}).get("steps"), ",.0f"),
        ("training seconds", lambda result: result.get("training", {}).get("seconds"), ",.0f"),
    )
    for name, value_of, form in others:
        values = [value_of(result) for result in results]
        if any(value is not None for value in values):
            rows.append((name, [Cell("–" if value is None else format(value, form)) for value in values]))
    return rows


def _metric_cells(values: list[Any], name: str) -> list[Cell]:
    numbers = [value for value in values if isinstance(value, int | float) and math.isfinite(value)]
    best = (min if name in LOWER_IS_BETTER else max)(numbers) if len(numbers) > 1 else None
    return [_metric_cell(value, best) for value in values]


def _metric_cell(value: Any, best: float | None) -> Cell:
    if value is None:
        return Cell("–")
    return Cell(value) if isinstance(value, str) else Cell(f"{value:.2f}", best is not None and value == best)


def latency_rows(group: Group) -> list[Latency]:
    """Return a row for each run whose generation was timed."""
    timed = [(member, member.run.results.get("decoding", {})) for member in group.members]
    timed = [(member, decoding) for member, decoding in timed if decoding.get("ms_per_example", 0) > 0]
    slowest = max((decoding["ms_per_example"] for _, decoding in timed), default=1)
    return [
        Latency(
            member,
            f"{decoding['ms_per_example']:.2f}",
            f"{1000 / decoding['ms_per_example']:,.0f}",
            f"{decoding.get('batch_size', '–')}",
            round(100 * decoding["ms_per_example"] / slowest, 1),
        )
        for member, decoding in timed
    ]
