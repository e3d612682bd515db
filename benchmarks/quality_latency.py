"""How good the texts of trained runs are and how long each takes, a row a way of decoding: what README's plot shows.

The ways take turns at every batch, so that a loud neighbour on the machine is loud for all.
"""

import csv
import io
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.starting import start
from textbox_elmer.bench.options import Options
from textbox_elmer.errors import UserError
from textbox_elmer.files import write_atomically
from textbox_elmer.metrics import evaluate
from textbox_elmer.reports.compare.side_by_side import Contestant, load_contestant, take_turns
from textbox_elmer.runtime.data import Split, find_dataset, load_split
from textbox_elmer.runtime.trained import run_config
from textbox_elmer.runtime.training.checkpoints import BEST, SAVED_CONFIG

TABLE = Path(__file__).with_suffix(".csv")
OPTIONS: Options = {
    "runs": (..., "folders, separated by commas, of ELMERs with alignment=dag and of autoregressive models"),
    "dataset": ("apidoc", "whose test examples are written"),
    "data_path": ("dataset", "the folder of datasets"),
    "examples": (1000, "test examples that are written"),
    "batch_size": (1, "texts written at once"),
    "out": (str(TABLE), "the table"),
}
# How each kind of model may decode, as `generation_kwargs`.
PARALLEL = {name: {"decoding": name} for name in ("greedy", "lookahead", "viterbi")}
PARALLEL |= {"5 beams": {"decoding": "beam", "num_beams": 5}}
TOKEN_BY_TOKEN = {"greedy": {"num_beams": 1}, "5 beams": {"num_beams": 5, "no_repeat_ngram_size": 3}}


SCORED = {"metrics": ["rouge"], "lower_evaluation": True}


class Row(NamedTuple):
    """A way of writing: ROUGE-2 on the test examples, milliseconds a text, and the command that printed these."""

    model: str
    decoding: str
    rouge_2: float
    ms: float
    command: str


def read_table(path: Path) -> list[Row]:
    """Return a table's rows.

    Raises:
        UserError: there is none, or it is no such table.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [Row(*row[:2], float(row[2]), float(row[3]), *row[4:]) for row in list(csv.reader(file))[1:]]
    except (OSError, ValueError, IndexError, TypeError) as error:
        raise UserError(f"{str(path)!r} is no table of benchmarks.quality_latency: {error}.") from None


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Write a table, whole or not at all."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([Row._fields, *rows])
    write_atomically(path, text.getvalue())


def main(settings: dict[str, Any]) -> None:
    """Let the best checkpoints of `runs` write a dataset's test split in all their ways; write and print the table.

    Args:
        settings: those of `OPTIONS`.

    Raises:
        UserError: a folder that is none, a missing dataset.
    """
    split = load_split(find_dataset(settings["data_path"], settings["dataset"]), "test", settings["examples"])
    ways = {way: load for run in settings["runs"].split(",") for way, load in _ways(Path(run), split).items()}
    take_turns(list(ways.values()), split, settings["batch_size"], "write")
    command = f"python -m benchmarks.quality_latency {shlex.join(sys.argv[1:])}"
    rows = [
        Row(*way, evaluate(written.texts, split.target, SCORED)["rouge-2"], round(written.ms_per_example, 2), command)
        for way, written in ways.items()
    ]
    write_table(Path(settings["out"]), rows)
    print(Path(settings["out"]).read_text(encoding="utf-8"), end="")


def _ways(run: Path, split: Split) -> dict[tuple[str, str], Contestant]:
    """Return a run's model, once for each way in which it may write, by its name and the way's."""
    parallel = run_config(run / SAVED_CONFIG, run / BEST).model == "ELMER"
    found = {}
    for name, options in (PARALLEL if parallel else TOKEN_BY_TOKEN).items():
        contestant = load_contestant(run, split, generation_kwargs=options)
        found[contestant.trained.spec.name, name] = contestant
    return found


if __name__ == "__main__":
    raise SystemExit(start("quality_latency", main, OPTIONS, example="--runs=saved/<run>,saved/<the BART run>"))
