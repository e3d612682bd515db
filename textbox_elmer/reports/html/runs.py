"""What a run left, read for a report: what is essential must be sound, what else is missing is said."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textbox_elmer.errors import UserError, as_user_error
from textbox_elmer.model.sizes import check_counts
from textbox_elmer.reports.html.curves import Curve, read_curves
from textbox_elmer.reports.html.scoring import Scores, score_examples
from textbox_elmer.reports.html.tokens import Legend, canvas_length, legend_of
from textbox_elmer.runtime.config import Config
from textbox_elmer.runtime.config.values import check_value, read_yaml
from textbox_elmer.runtime.data.folder import Split, find_dataset, load_split, quick_test_limit
from textbox_elmer.runtime.runs.results import GENERATION, RESULTS, read_results
from textbox_elmer.runtime.runs.traces import TRACES, Trace, read_lines_left, read_traces
from textbox_elmer.runtime.training import checkpoints
from textbox_elmer.suggest import nearest
from textbox_elmer.text.decoding import EMPTY_OUTPUT


@dataclass
class Run:
    """One run.

    Attributes:
        folder: where it lies.
        config: its configuration.
        results: what results.json holds.
        curves: by name, such as "train/loss" and "eval/rouge-1"; empty if nothing was trained.
        texts: the test texts; empty if there are none.
        traces: how their tokens came about, or nothing.
        legend: the marks that these need.
        canvas: positions of the canvas that they were written on, if that is known, else 0.
        split: the test's sources and references; None if they are gone.
        scores: the texts' scores one by one; None without references.
        missing: what the report has to do without, a sentence each.
    """

    folder: Path
    config: Config
    results: Mapping[str, Any]
    curves: Mapping[str, Curve] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)
    legend: Legend = field(default_factory=Legend)
    canvas: int = 0
    split: Split | None = None
    scores: Scores | None = None
    missing: list[str] = field(default_factory=list)


def read_run(folder: Path) -> Run:
    """Read a run's folder.

    Raises:
        UserError: it is no run's folder, the run has not ended, or its configuration or results are damaged.
    """
    _check_folder(folder)
    results = _read_results(folder)
    run = Run(folder, _read_config(folder / checkpoints.SAVED_CONFIG), results)
    run.curves = _or_missing(run, read_curves, folder / "tensorboard") or {}
    if "metrics" in results:
        run.texts = _or_missing(run, read_lines_left, folder / GENERATION) or []
    if run.texts and (folder / TRACES).exists():
        run.traces = _or_missing(run, _traces_of, folder / TRACES, run.texts) or []
        run.legend = legend_of(run.traces)
        run.canvas = canvas_length(run.traces, results.get("decoding", {}).get("canvas_positions"))
    if run.texts:
        run.split = _or_missing(run, _read_split, run)
    if run.split is not None:
        run.scores = _or_missing(run, score_examples, run.texts, run.split.target, run.config)
    if run.scores is not None and (name := run.scores.contradicts(results["metrics"])):
        run.split = run.scores = None
        run.missing.append(
            f"The test set of {results['dataset']!r} is no longer the one that this run wrote for (its {name} would "
            "be another), so sources and references are left out: test the run's checkpoint again."
        )
    return run


def _or_missing(run: Run, read: Any, *arguments: Any) -> Any:
    """Return what `read` returns, or None and the sentence that it raised noted."""
    try:
        return read(*arguments)
    except UserError as error:
        run.missing.append(str(error))
        return None


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        siblings = [path.name for path in folder.parent.iterdir() if path.is_dir()] if folder.parent.is_dir() else []
        guess = nearest(folder.name, siblings)
        hint = f"Did you mean {str(folder.parent / guess)!r}?" if guess else "Give one that a run left: saved/<run>."
        raise UserError(f"There is no folder {str(folder)!r}. {hint}")
    if not (folder / RESULTS).exists() and not (folder / checkpoints.SAVED_CONFIG).exists():
        inside = folder.resolve().parent
        hint = (
            f"give {str(folder.parent)!r}" if (inside / RESULTS).exists() else "give one that a run left: saved/<run>"
        )
        raise UserError(f"{str(folder)!r} is no run's folder, for it has no {RESULTS}: {hint}.")


def _read_config(path: Path) -> Config:
    """Read a run's configuration; somebody may have edited it, so that each value is checked again."""
    checkpoints.check_saved_config(path)
    values = {key: check_value(key, value, str(path)) for key, value in read_yaml(path).items()}
    with as_user_error():
        check_counts(values, str(path))
    return Config(values)


def _read_results(folder: Path) -> dict[str, Any]:
    path = folder / RESULTS
    try:
        return read_results(folder)
    except FileNotFoundError:
        saved = checkpoints.checkpoints(folder)
        how = f"continue it with --model_path={saved[-1]}" if saved else "run it again"
        raise UserError(f"{str(path)!r} is missing, so the run has not ended: wait for its end, or {how}.") from None
    except ValueError as error:
        raise UserError(
            f"{str(path)!r} is damaged ({error}): test again with --do_train=False "
            f"--model_path={folder / checkpoints.BEST}."
        ) from error


def _traces_of(path: Path, texts: list[str]) -> list[Trace]:
    traces = read_traces(path)
    if len(traces) != len(texts):
        raise UserError(f"{str(path)!r} has {len(traces)} lines for {len(texts)} texts: test the checkpoint again.")
    for number, (trace, text) in enumerate(zip(traces, texts, strict=True), start=1):
        if ("".join(trace.pieces).split() or [EMPTY_OUTPUT]) != text.split():
            raise UserError(f"{str(path)!r}, line {number}, is not that of {GENERATION}: test the checkpoint again.")
    return traces


def _read_split(run: Run) -> Split:
    config = run.config
    folder = find_dataset(config["data_path"] or "dataset", run.results["dataset"])
    split = load_split(folder, "test", quick_test_limit(config["quick_test"]))
    if len(split.source) != len(run.texts):
        raise UserError(
            f"{str(folder / 'test.src')!r} has {len(split.source)} examples, but the run wrote {len(run.texts)} texts, "
            "so sources and references are left out: the dataset has changed, test the run's checkpoint again."
        )
    return split
