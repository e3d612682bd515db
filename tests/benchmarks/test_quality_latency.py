"""Quality against latency of two toy runs, and the plot of such a table."""

from pathlib import Path

import pytest

from benchmarks import plot, quality_latency
from benchmarks.quality_latency import TABLE, Row, read_table, write_table
from benchmarks.starting import start
from tests.conftest import options, tiny
from textbox_elmer.cli import main

PICTURE = TABLE.parents[1] / "docs" / "images" / "quality_latency.svg"


def labels(rows: list[Row]) -> list[str]:
    return [f"{row.model}, {row.decoding}" for row in rows]


def test_every_way_of_every_run_has_a_row(workplace: Path, capsys: pytest.CaptureFixture) -> None:
    for model in ("ELMER", "BART"):
        assert main([f"--model={model}", "--dataset=toy", *options(tiny(model, epochs=1, filename=model))]) == 0
    capsys.readouterr()
    runs = "--runs=saved/ELMER,saved/BART"
    assert (
        start(
            "quality_latency",
            quality_latency.main,
            quality_latency.OPTIONS,
            [runs, "--dataset=toy", "--examples=4", "--out=table.csv"],
        )
        == 0
    )
    assert capsys.readouterr().out == Path("table.csv").read_text()
    rows = read_table(Path("table.csv"))
    ways = ["ELMER, greedy", "ELMER, lookahead", "ELMER, viterbi", "ELMER, 5 beams", "BART, greedy", "BART, 5 beams"]
    assert labels(rows) == ways
    assert all(row.ms > 0 and 0 <= row.rouge_2 <= 100 for row in rows)


def test_a_plot_shows_every_row(workplace: Path, capsys: pytest.CaptureFixture) -> None:
    rows = [Row("ELMER", "lookahead", 20.0, 4.0, "a"), Row("BART", "5 beams", 17.0, 26.0, "b, c")]
    write_table(Path("table.csv"), rows)
    assert read_table(Path("table.csv")) == rows
    assert start("plot", plot.main, plot.OPTIONS, ["--table=table.csv", "--out=images/plot.svg"]) == 0
    drawn = Path("images/plot.svg").read_text()
    assert all(f">{label}</text>" in drawn for label in labels(rows))
    assert start("plot", plot.main, plot.OPTIONS, ["--table=images/plot.svg"]) == 2
    assert "'images/plot.svg' is no table of benchmarks.quality_latency" in capsys.readouterr().err


def test_the_picture_in_readme_is_that_of_the_table(workplace: Path) -> None:
    assert start("plot", plot.main, plot.OPTIONS, ["--out=plot.svg"]) == 0
    drawn, kept = (path.read_text() for path in (Path("plot.svg"), PICTURE))
    # Circles and words stand in the same places; the rest is the drawing library's.
    assert [line for line in kept.splitlines() if "<use" in line or "</text>" in line] == [
        line for line in drawn.splitlines() if "<use" in line or "</text>" in line
    ], "renew it: python -m benchmarks.plot"
    assert PICTURE.stat().st_size < 100_000


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["--dataset=toy"], "`python -m benchmarks.quality_latency` needs --runs"),
        (["--dataset=toy", "--runs=saved/none"], "saved/none"),
        (["--dataset=toys", "--runs=saved/none"], "There is no dataset 'toys'"),
    ],
)
def test_mistakes(workplace: Path, capsys: pytest.CaptureFixture, typed: list[str], message: str) -> None:
    assert start("quality_latency", quality_latency.main, quality_latency.OPTIONS, typed) == 2
    assert message in capsys.readouterr().err
