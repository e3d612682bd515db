"""A comparison's runs."""

from typing import Any

from textbox_elmer.reports.compare.plan import Plan
from textbox_elmer.terminal import say
from textbox_elmer.trials.trial import is_done, run_trial


def ensure_runs(plan: Plan) -> None:
    """Train what is not trained yet.

    Raises:
        UserError: a training failed; it has said why.
    """
    runs = [(model, seed) for seed in plan.seeds for model in plan.models]
    missing = [run for run in runs if not is_done(plan.run_folder(*run))]
    for number, (model, seed) in enumerate(missing, start=1):
        say(f"[{number}/{len(missing)}] {model}, seed {seed}")
        results_of(plan, model, seed)


def results_of(plan: Plan, model: str, seed: int) -> dict[str, Any]:
    """Return what a run's results.json says, after running it if need be."""
    options = {"model": model, "dataset": plan.dataset, "stopping_steps": 0, **plan.options, "seed": seed}
    return run_trial(plan.run_folder(model, seed), options, plan.config_files)
