"""`--multi_seed=5`: the same experiment with several random seeds, as TextBox's run_multi_seed.py."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.table import Table

from textbox_elmer.errors import UserError
from textbox_elmer.files import write_atomically
from textbox_elmer.terminal import say, table_console
from textbox_elmer.trials.series import Several, spread

SEEDS_BELOW = 10**9


def run_multi_seed(count: Any, options: Mapping[str, Any], config_files: Sequence[str]) -> None:
    """Run trials with seeds that follow from the configuration's, and print and write their scores, mean and spread.

    The scores are those of the best validation, and of the test if `do_test` is given.

    Raises:
        UserError: whatever the user can put right.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise UserError(f"--multi_seed is a whole number of runs above 0, not {count!r}.")
    with Several.of("multi_seed", options, config_files) as several:
        _run(several, count)


def _run(several: Several, count: int) -> None:
    draw = np.random.default_rng(several.config["seed"])
    seeds = [int(draw.integers(SEEDS_BELOW)) for _ in range(count)]
    rows = []
    for number, seed in enumerate(seeds, start=1):
        say(f"[{number}/{count}] seed {seed}")
        results = several.run(f"seed-{seed}", {"seed": seed})
        rows.append({"seed": seed, **_numbers(results)})
    names = [name for name in rows[0] if name != "seed" and all(name in row for row in rows)]
    summary = {name: spread([row[name] for row in rows]) for name in names}
    report = {"trials": rows, "summary": summary}
    write_atomically(several.folder / "multi_seed.json", json.dumps(report, indent=2))
    _show(report, several)


def _numbers(results: Mapping[str, Any]) -> dict[str, float]:
    found = {f"valid {name}": value for name, value in results["training"]["best_metrics"].items()}
    found |= {f"test {name}": value for name, value in results.get("metrics", {}).items()}
    return {name: value for name, value in found.items() if not isinstance(value, str)}


def _show(report: Mapping[str, Any], several: Several) -> None:
    table = Table(title=f"{several.config.model} on {several.config.dataset}", title_justify="left")
    table.add_column("score")
    for column in [*(f"seed {row['seed']}" for row in report["trials"]), "mean", "deviation"]:
        table.add_column(column, justify="right")
    for name, values in report["summary"].items():
        deviation = "-" if values["deviation"] is None else f"{values['deviation']:.2f}"
        cells = [*(f"{row[name]:.2f}" for row in report["trials"]), f"{values['mean']:.2f}", deviation]
        table.add_row(name, *cells)
    table_console().print(table)
    say(f"Written: {several.folder / 'multi_seed.json'}")
