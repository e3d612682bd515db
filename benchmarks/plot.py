"""README's plot of quality against latency, drawn of benchmarks/quality_latency.csv."""

import io
from pathlib import Path
from typing import Any

from benchmarks.quality_latency import TABLE, read_table
from benchmarks.starting import start
from textbox_elmer.bench.options import Options
from textbox_elmer.files import write_atomically
from textbox_elmer.reports.compare.plot import check_matplotlib

OPTIONS: Options = {
    "table": (str(TABLE), "what benchmarks.quality_latency has written"),
    "out": ("docs/images/quality_latency.svg", "the plot"),
}
INCHES = (6.4, 3.6)
# Read on a white page as well as on a black one.
GREY, COLOURS = "#808080", {"ELMER": "#2f9e6e", "BART": "#d9731a"}


def main(settings: dict[str, Any]) -> None:
    """Write the plot as an SVG whose words are words.

    Args:
        settings: those of `OPTIONS`.

    Raises:
        UserError: no table, no matplotlib.
    """
    check_matplotlib()
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    rows = read_table(Path(settings["table"]))
    style = dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), GREY)
    style |= {"svg.fonttype": "none", "svg.hashsalt": "", "font.size": 11}
    with rc_context(style):
        figure = Figure(figsize=INCHES, layout="constrained")
        axes = figure.add_subplot()
        for row in rows:
            colour = COLOURS.get(row.model, GREY)
            axes.plot(row.ms, row.rouge_2, "o", markersize=9, color=colour)
            axes.annotate(
                f"{row.model}, {row.decoding}", (row.ms, row.rouge_2), (9, 5), textcoords="offset points", color=colour
            )
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.margins(0.5, 0.25)
        axes.set_xlabel("ms per text (less is better)")
        axes.set_ylabel("ROUGE-2 on apidoc")
        axes.grid(True, which="both", alpha=0.25, color=GREY)
        axes.spines[["top", "right"]].set_visible(False)
        drawn = io.BytesIO()
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    Path(settings["out"]).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(Path(settings["out"]), drawn.getvalue())
    print(f"Written: {settings['out']}")


if __name__ == "__main__":
    raise SystemExit(start("plot", main, OPTIONS))
