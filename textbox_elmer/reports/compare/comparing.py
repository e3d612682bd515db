"""From what was typed to a table, compare.json, compare.md and a plot."""

import json
from typing import Any

import numpy as np

from textbox_elmer.files import write_atomically
from textbox_elmer.metrics import build_corpus
from textbox_elmer.metrics.registry import with_defaults
from textbox_elmer.reports.compare.document import markdown, show
from textbox_elmer.reports.compare.plan import Plan
from textbox_elmer.reports.compare.plot import check_matplotlib, draw
from textbox_elmer.reports.compare.side_by_side import test_split, write_side_by_side
from textbox_elmer.reports.compare.significance import drawn_scores, p_value
from textbox_elmer.runtime.config.command_line import FILES
from textbox_elmer.runtime.runs.logs import log_to_console
from textbox_elmer.runtime.runs.results import library_versions
from textbox_elmer.terminal import say
from textbox_elmer.trials.series import spread
from textbox_elmer.trials.trial import held_settings, is_done, run_trial


def compare(plan: Plan, command: str) -> None:
    """Train, or find trained, every model with every seed; test them side by side; write and print what came out.

    Args:
        plan: what to compare.
        command: how it was started, for the record.

    Raises:
        UserError: whatever the user can put right.
    """
    check_matplotlib()
    test_split(plan)  # a missing dataset is found before anything is written
    files = {FILES: list(plan.config_files)} if plan.config_files else {}
    settings = {"dataset": plan.dataset, "options": {**plan.options, **files}}
    with held_settings(plan.out, settings, "--out"):
        _compare(plan, command)


def _compare(plan: Plan, command: str) -> None:
    _ensure_runs(plan)
    log_to_console("warning")
    report = {"command": command, "versions": library_versions(), **_measure(plan)}
    write_atomically(plan.out / "compare.json", json.dumps(report, indent=2, ensure_ascii=False))
    write_atomically(plan.out / "compare.md", markdown(report))
    draw(report, plan.out)
    show(report)
    say(f"Written: {plan.out}/compare.json, compare.md, compare.png, compare.svg")


def _ensure_runs(plan: Plan) -> None:
    """Train what is not trained yet.

    Raises:
        UserError: a training failed; it has said why.
    """
    runs = [(model, seed) for seed in plan.seeds for model in plan.models]
    missing = [run for run in runs if not is_done(plan.run_folder(*run))]
    for number, (model, seed) in enumerate(missing, start=1):
        say(f"[{number}/{len(missing)}] {model}, seed {seed}")
        _results_of(plan, model, seed)


def _results_of(plan: Plan, model: str, seed: int) -> dict[str, Any]:
    """Return what a run's results.json says, after running it if need be."""
    options = {"model": model, "dataset": plan.dataset, "stopping_steps": 0, **plan.options, "seed": seed}
    return run_trial(plan.run_folder(model, seed), options, plan.config_files)


def _measure(plan: Plan) -> dict[str, Any]:
    """Return the table's rows and all that they are made of."""
    split, config = test_split(plan), plan.config(plan.models[0], plan.seeds[0])
    scoring = with_defaults(config)
    written = {seed: write_side_by_side(plan, seed) for seed in plan.seeds}
    drawn = {}
    for model in plan.models:
        corpora = [build_corpus(written[seed][model]["texts"], split.target, scoring) for seed in plan.seeds]
        drawn[model] = drawn_scores(corpora, scoring, plan.resamples)
    baseline = plan.models[0]
    rows = []
    for model in plan.models:
        runs = [_results_of(plan, model, seed) for seed in plan.seeds]
        latencies = [written[seed][model]["ms_per_example"] for seed in plan.seeds]
        row = {
            "model": model,
            "parameters": written[plan.seeds[0]][model]["parameters"],
            "steps": [run["training"]["steps"] for run in runs],
            "training_seconds": _spread([run["training"]["seconds"] for run in runs]),
            "ms_per_example": _spread(latencies),
            "speed": float(
                np.mean([written[seed][baseline]["ms_per_example"] for seed in plan.seeds]) / np.mean(latencies)
            ),
            "metrics": {},
        }
        for name, values in drawn[model].items():
            row["metrics"][name] = _spread(values[:, 0].tolist())
            if model != baseline:
                row["metrics"][name]["p"] = p_value(drawn[baseline][name], values)
        rows.append(row)
    wanted = config["metrics_for_best_model"] or []
    main_metric = next((name for name in (*wanted, *rows[0]["metrics"]) if name in rows[0]["metrics"]), None)
    return {
        "dataset": plan.dataset,
        "seeds": list(plan.seeds),
        "examples": len(split.source),
        "resamples": plan.resamples,
        "batch_size": config["eval_batch_size"],
        "main_metric": main_metric,
        "rows": rows,
    }


def _spread(values: list[float]) -> dict[str, Any]:
    return {**spread(values), "values": values}
