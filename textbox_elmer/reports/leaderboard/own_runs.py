"""The runs of this machine as rows of a leaderboard."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textbox_elmer.reports.leaderboard.rows import Leaderboard, Row
from textbox_elmer.runtime.catalogue.models import MODELS
from textbox_elmer.runtime.runs.results import GENERATION, RESULTS, read_results


@dataclass
class OwnRuns:
    """The runs on a leaderboard's dataset, and the folders that were left out.

    Attributes:
        rows: one for each run.
        elsewhere: runs on other datasets.
        unscored: folders without results, or whose run scored nothing.
        broken: folders whose results cannot be read, with the reason.
    """

    rows: list[Row] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    unscored: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def left_out(self) -> str | None:
        """Return a sentence on what was left out, None if nothing was."""
        parts = [f"{what} ({', '.join(names)})" for what, names in self._kinds() if names]
        return f"Left out: {'; '.join(parts)}." if parts else None

    def _kinds(self) -> list[tuple[str, list[str]]]:
        return [
            ("runs on other datasets", self.elsewhere),
            ("runs without scores", self.unscored),
            (f"runs whose {RESULTS} is broken", self.broken),
        ]


def read_runs(saved: Path, board: Leaderboard) -> OwnRuns:
    """Read the runs in a folder, none if there is no such folder; one that cannot be used is left out and named."""
    runs = OwnRuns()
    for run in sorted(path for path in saved.glob("*") if path.is_dir()):
        try:
            results = read_results(run)
        except FileNotFoundError:
            runs.unscored.append(run.name)
            continue
        except ValueError as error:
            runs.broken.append(f"{run.name}: {error}")
            continue
        if results["dataset"].lower() != board.name.lower():
            runs.elsewhere.append(run.name)
        elif "metrics" not in results:  # a pre-training, or --do_test=False
            runs.unscored.append(run.name)
        else:
            runs.rows.append(_row(run, results, board))
    return runs


def _row(run: Path, results: Mapping[str, Any], board: Leaderboard) -> Row:
    scores = {name: results["metrics"].get(name) for name in board.metrics}
    numbers = {name: value for name, value in scores.items() if not isinstance(value, str | None)}
    examples = results.get("decoding", {}).get("examples")
    spec = MODELS.get(results["model"])
    texts = run / GENERATION
    return Row(
        model=results["model"],
        metrics={name: value * board.scale.get(name, 1) for name, value in numbers.items()},
        source=str(run),
        decoding=("NAR" if spec.parallel else "AR") if spec else None,
        parameters=results.get("parameters"),
        texts=texts.as_posix() if texts.is_file() else None,
        protocol=None if examples is None else f"{examples:,} test examples",
        command=results.get("command"),
        commit=results.get("commit"),
        ours=True,
    )
