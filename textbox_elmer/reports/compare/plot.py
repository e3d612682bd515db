"""Quality against latency, a point a model."""

import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from textbox_elmer.errors import UserError
from textbox_elmer.files import write_atomically

INCHES = (6.4, 4.2)
DOTS_PER_INCH = 150


def check_matplotlib() -> None:
    """Raise a UserError if there is nothing to draw with."""
    if find_spec("matplotlib") is None:
        raise UserError(
            "`compare` draws with matplotlib, which is not installed: pip install 'textbox-elmer[reports]'."
        )


def draw(report: dict[str, Any], folder: Path) -> None:
    """Write compare.png and compare.svg; bars are standard deviations over seeds."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    metric = report["main_metric"]
    figure = Figure(figsize=INCHES, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for row in report["rows"]:
        latency, quality = row["ms_per_example"], row["metrics"][metric]
        axes.errorbar(
            latency["mean"],
            quality["mean"],
            xerr=latency["deviation"],
            yerr=quality["deviation"],
            marker="o",
            markersize=8,
            capsize=3,
        )
        axes.annotate(row["model"], (latency["mean"], quality["mean"]), (8, 8), textcoords="offset points")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(0.25)
    axes.set_xlabel(f"ms per example, batches of {report['batch_size']} (less is better)")
    axes.set_ylabel(f"{metric} on {report['dataset']}")
    axes.grid(True, which="both", alpha=0.25)
    for kind in ("png", "svg"):
        drawn = io.BytesIO()
        figure.savefig(drawn, format=kind, dpi=DOTS_PER_INCH)
        write_atomically(folder / f"compare.{kind}", drawn.getvalue())
