"""What a comparison compares, and the folder that it can be continued from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textbox_elmer.errors import UserError
from textbox_elmer.metrics import check_metrics
from textbox_elmer.runtime.catalogue.models import find_model
from textbox_elmer.runtime.config import Config, resolve_config
from textbox_elmer.runtime.config.command_line import FILES

# What spends the budget: the same for all models, whatever a model's own properties say.
BUDGET = ("epochs", "max_steps", "train_batch_size", "accumulation_steps", "quick_test")
SET_BY_RUN = (
    *("model", "seed", "filename", "saved_dir", "model_path"),
    *("do_train", "do_test", "max_save", "bf16_full_eval"),
)
# What a comparison sets itself, in every run: a config file may repeat it and not change it.
SET_HERE: Mapping[str, Any] = {"do_train": True, "do_test": True, "model_path": None, "bf16_full_eval": False}


@dataclass(frozen=True)
class Plan:
    """A comparison.

    Attributes:
        models: the registry's names; the first is what the others' differences are tested against.
        dataset: its name below `data_path`.
        seeds: one run of every model each.
        resamples: of the bootstrap.
        out: the comparison's folder.
        options: further keys of every run, as typed.
        config_files: what every run reads before them, as typed.
    """

    models: tuple[str, ...]
    dataset: str
    seeds: tuple[int, ...]
    resamples: int
    out: Path
    options: Mapping[str, Any]
    config_files: tuple[str, ...] = ()

    def run_folder(self, model: str, seed: int) -> Path:
        """Return where the run of a model and a seed lies."""
        return self.out / f"{model}-{seed}"

    def config(self, model: str, seed: int) -> Config:
        """Resolve the configuration of one run."""
        run = {"filename": self.run_folder(model, seed).name, "saved_dir": str(self.out), "seed": seed}
        # A model that stops early would spend less than the others.
        typed = {"model": model, "dataset": self.dataset, "stopping_steps": 0, **self.options}
        return resolve_config(config_file_list=self.config_files, command_line=typed | run)


def read_plan(
    models: Sequence[str],
    dataset: str,
    seeds: int = 1,
    resamples: int = 1000,
    out: Path | None = None,
    options: Mapping[str, Any] | None = None,
) -> Plan:
    """Make a plan of what was typed and check that its runs can be compared.

    Args:
        models: their names, in any spelling.
        dataset: its name.
        seeds: how many runs of each model.
        resamples: of the bootstrap.
        out: the comparison's folder; None: saved/compare-<dataset>.
        options: further keys of every run, and `config_files`.

    Raises:
        UserError: an unknown model or key, a key that a comparison sets itself, models whose properties give them
            different budgets.
    """
    given = dict(options or {})
    files = tuple(given.pop(FILES, ()))
    for key in SET_BY_RUN:
        if key in given:
            raise UserError(f"`compare` has no option --{key}: it makes one run for each of --models and --seeds.")
    names = tuple(dict.fromkeys(find_model(name.strip()).name for name in models))
    named = {"model": names[0], "dataset": dataset, **given}
    first = resolve_config(config_file_list=files, command_line=named)["seed"]
    folder = out or Path(f"saved/compare-{dataset}")
    plan = Plan(names, dataset, tuple(range(first, first + seeds)), resamples, folder, given, files)
    _check(plan)
    return plan


def _check(plan: Plan) -> None:
    first, *others = [plan.config(model, plan.seeds[0]) for model in plan.models]
    check_metrics(first)
    for config in (first, *others):
        for key, value in SET_HERE.items():
            if config[key] != value:
                raise UserError(
                    f"`compare` trains and tests every model itself, and {key} is {config[key]!r} "
                    f"({config.origin(key)}): leave it out."
                )
    for config in others:
        for key in BUDGET:
            if config[key] != first[key]:
                raise UserError(
                    f"{first.model} and {config.model} would not train alike: {key} is {first[key]!r} for one and "
                    f"{config[key]!r} for the other. Give --{key} for both."
                )
