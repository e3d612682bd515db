"""From runs to the page: what each section shows, put into the templates."""

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from textbox_elmer.reports.html.charts import LineChart, layer_histogram, length_scatter, line_chart, tick_label
from textbox_elmer.reports.html.colours import colour_rules
from textbox_elmer.reports.html.examples import Example, Selection, select, show_example, words
from textbox_elmer.reports.html.runs import Run
from textbox_elmer.reports.html.tables import latency_rows, score_rows
from textbox_elmer.reports.html.tested_alike import Group, Member, group_runs
from textbox_elmer.reports.html.tokens import Legend, deciding_layers
from textbox_elmer.runtime.data.folder import Split
from textbox_elmer.text.lines import references_of

TEMPLATES = Path(__file__).with_name("templates")
# Characters that HTML forbids, or that a page would not show, as the pictures that Unicode has for them.
CONTROLS = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {0x7F: 0x2421}


@dataclass(frozen=True)
class Section:
    """What the page shows of one group of runs."""

    key: str
    group: Group
    score_rows: list[Any]
    charts: list[LineChart]
    histograms: list[tuple[Member, Any]]
    scatters: list[tuple[Member, Any]]
    latency: list[Any]
    selections: list[tuple[Selection, list[Example]]]
    legend: Legend


def render(runs: Sequence[Run]) -> str:
    """Return a report on runs as one HTML page that needs nothing else, and no network."""
    groups = group_runs(list(runs))
    layers = count_layers(runs)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"tick": tick_label}
    script = (TEMPLATES / "script.js").read_text(encoding="utf-8")
    html = environment.get_template("page.html").render(
        title=_title(groups),
        members=[member for group in groups for member in group.members],
        sections=[_section(number, group, layers) for number, group in enumerate(groups, start=1)],
        several=len(runs) > 1,
        layers=layers,
        colours=colour_rules(layers, len(runs)),
        script=script,
        script_hash=b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    # A lone surrogate, which JSON may hold, has no UTF-8.
    return html.encode("utf-8", "replace").decode("utf-8").translate(CONTROLS)


def count_layers(runs: Sequence[Run]) -> int:
    """Return how many decoder layers the colours must tell apart: as many as configured, or seen to be left at."""
    configured = [run.config["decoder_layers"] for run in runs if run.traces]
    seen = [layer + 1 for run in runs for trace in run.traces for layer in trace.exit_layers]
    return max([number for number in configured if isinstance(number, int)] + seen, default=0)


def _title(groups: Sequence[Group]) -> str:
    names = ", ".join(dict.fromkeys(member.run.results["model"] for group in groups for member in group.members))
    return f"{names} on {', '.join(dict.fromkeys(group.dataset for group in groups))}"


def _section(number: int, group: Group, layers: int) -> Section:
    traced = [member for member in group.tested if any(trace.exit_layers for trace in member.run.traces)]
    return Section(
        key=f"g{number}",
        group=group,
        score_rows=score_rows(group),
        charts=_line_charts(group),
        histograms=[
            (
                member,
                layer_histogram([layer for trace in member.run.traces for layer in deciding_layers(trace)], layers),
            )
            for member in traced
        ],
        scatters=[
            (member, length_scatter(_lengths(member.run.split, member.run.texts)))
            for member in group.tested
            if member.run.split is not None
        ],
        latency=latency_rows(group),
        selections=[
            (chosen, [show_example(group, pick) for pick in chosen.picks])
            for chosen in (select(group) if group.tested else [])
        ],
        legend=reduce(or_, (member.run.legend for member in group.members)),
    )


def _line_charts(group: Group) -> list[LineChart]:
    """Return a chart of the losses, and one for each validated metric that the test's results have, too."""
    losses = [
        (f"{member.name}, {what}", member.place, name == "train/loss", member.run.curves[name])
        for member in group.members
        for name, what in (("train/loss", "training"), ("eval/loss", "validation"))
        if member.run.curves.get(name)
    ]
    charts = [line_chart("Loss per token, in nats", losses)] if losses else []
    metrics = dict.fromkeys(name for member in group.members for name in member.run.results.get("metrics", {}))
    for metric in metrics:
        curves = [
            (f"{member.name}, {metric}", member.place, False, member.run.curves[f"eval/{metric}"])
            for member in group.members
            if member.run.curves.get(f"eval/{metric}")
        ]
        if curves:
            charts.append(line_chart(f"Validation {metric}", curves))
    return charts


def _lengths(split: Split, texts: Sequence[str]) -> list[tuple[int, int]]:
    """Return the number of words of each first reference and of the text written for it."""
    firsts = [references_of(target)[0] for target in split.target]
    return [(len(words(first)), len(words(text))) for first, text in zip(firsts, texts, strict=True)]
