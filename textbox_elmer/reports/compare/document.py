"""A comparison as a table: on the terminal and in compare.md."""

import os
import platform
from typing import Any

from rich.table import Table

from textbox_elmer.reports.markdown import code, plain_text
from textbox_elmer.terminal import table_console

SIGNIFICANT = 0.05
STAR = "*"


def header(report: dict[str, Any]) -> list[str]:
    """Return the table's columns."""
    names = list(report["rows"][0]["metrics"])
    return ["model", "parameters", "training, s", *names, "ms per example", f"speed / {report['rows'][0]['model']}"]


def cells(row: dict[str, Any]) -> list[str]:
    """Return one model's line of the table; a star says that a score differs from the first model's."""
    scores = [_number(score) + (STAR if score.get("p", 1.0) < SIGNIFICANT else "") for score in row["metrics"].values()]
    size = f"{row['parameters'] / 1e6:.1f} M"
    seconds = _number(row["training_seconds"], 0)
    return [row["model"], size, seconds, *scores, _number(row["ms_per_example"]), f"{row['speed']:.2f}"]


def explanation(report: dict[str, Any]) -> str:
    """Say what the table's numbers are."""
    first, seeds = report["rows"][0]["model"], report["seeds"]
    spread = f"; mean ± standard deviation over {len(seeds)} seeds" if len(seeds) > 1 else f"; seed {seeds[0]}"
    return (
        f"{report['examples']} test examples of {report['dataset']}{spread}. Latency: batches of "
        f"{report['batch_size']}, the models taking turns, {platform.machine()}, {os.cpu_count()} cores. "
        f"{STAR}: differs from {first} at p < {SIGNIFICANT} (paired bootstrap, {report['resamples']} resamples)."
    )


def show(report: dict[str, Any]) -> None:
    """Print the table on the terminal."""
    console = table_console()
    table = Table(title=f"Comparison on {report['dataset']}", title_justify="left")
    for number, name in enumerate(header(report)):
        table.add_column(name, justify="right" if number else "left")
    for row in report["rows"]:
        table.add_row(*cells(row))
    console.print(table)
    console.print(explanation(report), highlight=False)


def markdown(report: dict[str, Any]) -> str:
    """Return the table, its explanation, all p-values and the plot for a document."""
    columns = header(report)
    report = report | {"dataset": plain_text(report["dataset"])}
    lines = [f"# {report['dataset']}: {', '.join(row['model'] for row in report['rows'])}", ""]
    lines += [code(report["command"]), "", _line(columns), _line(["---"] * len(columns))]
    lines += [_line(cells(row)) for row in report["rows"]]
    lines += ["", explanation(report), "", "![quality against latency](compare.svg)"]
    first, *others = report["rows"]
    if others:
        lines += ["", f"p-values of the difference from {first['model']}:", ""]
        lines += [_line(["model", *first["metrics"]]), _line(["---"] * (1 + len(first["metrics"])))]
        lines += [_line([row["model"], *(f"{score['p']:.4f}" for score in row["metrics"].values())]) for row in others]
    return "\n".join(lines) + "\n"


def _line(words: list[str]) -> str:
    return f"| {' | '.join(words)} |"


def _number(value: dict[str, Any], digits: int = 2) -> str:
    spread = "" if value["deviation"] is None else f" ± {value['deviation']:.{digits}f}"
    return f"{value['mean']:.{digits}f}{spread}"
