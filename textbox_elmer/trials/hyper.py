"""`--space=<file>`: a search for good options, as TextBox's run_hyper.py, by optuna."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.table import Table

from textbox_elmer.errors import UserError
from textbox_elmer.files import write_atomically
from textbox_elmer.runtime.config import resolve_config
from textbox_elmer.runtime.training.selection import selects_by_loss
from textbox_elmer.terminal import say, table_console
from textbox_elmer.trials.series import Several
from textbox_elmer.trials.space import Dimension, plain, read_space

MOST_TRIALS = 10_000
ALGORITHMS = ("exhaustive", "tpe", "rand")


def run_hyper(space: Any, algo: Any, max_evals: Any, options: Mapping[str, Any], config_files: Sequence[str]) -> None:
    """Run trials with options drawn from a search space, and print and write what each reached in validation.

    Args:
        space: the file's path.
        algo: "exhaustive" (all combinations of choices once), "tpe" or "rand".
        max_evals: how many trials; by default as in TextBox as many as the choices have combinations.

    Raises:
        UserError: whatever the user can put right.
    """
    if find_spec("optuna") is None:
        raise UserError("--space needs optuna, which is not installed: pip install 'textbox-elmer[search]'.")
    algo = str(algo).rpartition(".")[2]  # hyperopt's names are dotted
    if algo not in ALGORITHMS:
        raise UserError(f"--algo is {', '.join(ALGORITHMS[:-1])} or {ALGORITHMS[-1]}, not {algo!r}.")
    dimensions = read_space(Path(str(space)))
    for dimension in dimensions:
        if dimension.name in options:
            raise UserError(f"{dimension.name} is both given and searched in {str(space)!r}: leave it out of one.")
        if dimension.name in ("filename", "saved_dir"):
            raise UserError(
                f"{dimension.name} names where trials lie and is not searched: leave it out of {str(space)!r}."
            )
    combinations = math.prod(len(dimension.values) for dimension in dimensions if dimension.method == "choice")
    trials = combinations if max_evals is None else max_evals
    if isinstance(trials, bool) or not isinstance(trials, int) or trials < 1:
        raise UserError(f"--max_evals is a whole number of trials above 0, not {max_evals!r}.")
    if trials > MOST_TRIALS or (algo == "exhaustive" and combinations > MOST_TRIALS):
        raise UserError(
            f"{max(trials, combinations):,} trials are more than the {MOST_TRIALS:,} that a search may have: leave "
            "choices out, or give --max_evals with --algo=rand or tpe."
        )
    # Every value must make a configuration: most slips are found before the first training.
    first = {dimension.name: dimension.values[0] for dimension in dimensions if dimension.method == "choice"}
    resolve_config(None, None, config_files, None, dict(options) | first)
    for dimension in dimensions:
        for value in dimension.to_check():
            try:
                resolve_config(None, None, config_files, None, dict(options) | first | {dimension.name: value})
            except UserError as error:
                raise UserError(f"The search space {str(space)!r} has {dimension.name}={value!r}: {error}") from None
    searched = {name: value for name, value in first.items() if name in ("model", "dataset")}
    own = {"space": _record(dimensions), "algo": algo}
    with Several.of("search", dict(options) | searched, config_files, **own) as several:
        _search(several, dimensions, algo, trials)


def _search(several: Several, dimensions: Sequence[Dimension], algo: str, trials: int) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it warns of a failed trial with a traceback
    by_loss = selects_by_loss(several.config)
    study = optuna.create_study(
        sampler=_sampler(algo, dimensions, several.config["seed"]), direction="minimize" if by_loss else "maximize"
    )
    rows: list[dict[str, Any]] = []

    def objective(trial: Any) -> float:
        values = plain({dimension.name: dimension.draw(trial) for dimension in dimensions})
        say(f"[{trial.number + 1}/{trials}] {values}")
        # The name follows from the values: the same ones are not tried twice, nor after a kill.
        digest = hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:12]
        results = several.run(f"trial-{digest}", values)
        score = results["training"]["best_score"]
        rows.append({"values": values, "score": score, "run": str(several.folder / f"trial-{digest}")})
        return score  # optuna puts aside what is no number

    study.optimize(objective, n_trials=trials)
    scored = [row for row in rows if row["score"] is not None and math.isfinite(row["score"])]
    if not scored:
        raise UserError("No trial has reached a score that is a number, for all have diverged: search smaller rates.")
    best = (min if by_loss else max)(scored, key=lambda row: row["score"])
    report = {"trials": rows, "best": best, "score": "validation loss" if by_loss else "validation score"}
    write_atomically(several.folder / "search.json", json.dumps(report, indent=2, default=str))
    _show(report, dimensions, several)


def _sampler(algo: str, dimensions: Sequence[Dimension], seed: int) -> Any:
    from optuna import samplers

    if algo == "exhaustive" and all(dimension.method == "choice" for dimension in dimensions):
        grid = {dimension.name: list(range(len(dimension.values))) for dimension in dimensions}
        return samplers.GridSampler(grid, seed=seed)
    return samplers.TPESampler(seed=seed) if algo == "tpe" else samplers.RandomSampler(seed=seed)


def _record(dimensions: Sequence[Dimension]) -> list[list[Any]]:
    return [[dimension.name, dimension.method, list(dimension.values)] for dimension in dimensions]


def _show(report: Mapping[str, Any], dimensions: Sequence[Dimension], several: Several) -> None:
    table = Table(title=f"Search over {', '.join(dimension.name for dimension in dimensions)}", title_justify="left")
    for column in [*(dimension.name for dimension in dimensions), report["score"], ""]:
        table.add_column(column, justify="right")
    for row in report["trials"]:
        marked = "best" if row is report["best"] else ""
        table.add_row(*(str(value) for value in row["values"].values()), _score(row["score"]), marked)
    table_console().print(table)
    say(f"Best: {report['best']['values']}. Written: {several.folder / 'search.json'}")


def _score(score: float | None) -> str:
    return "-" if score is None else f"{score:.4g}"
