"""What a run works on and with, and how that of a fine-tuning is made: data, tokenizer, model, collator."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from textbox_elmer.errors import UserError
from textbox_elmer.runtime.catalogue.model_spec import ModelSpec
from textbox_elmer.runtime.config import Config
from textbox_elmer.runtime.data import (
    Split,
    find_dataset,
    fine_tuning_collator,
    load_split,
    quick_test_limit,
    training_texts,
)
from textbox_elmer.runtime.hard_exit import ExitWork, exit_work
from textbox_elmer.runtime.models.generation import generate_ids
from textbox_elmer.runtime.trained import assemble
from textbox_elmer.runtime.training.processes import Processes
from textbox_elmer.terminal import reason_of


@dataclass
class Job:
    """What a run works on and with; None or empty where it needs none."""

    tokenizer: PreTrainedTokenizerBase
    model: PreTrainedModel
    collator: Callable
    train: Any
    valid: Any
    test: Dataset | None = None
    texts: Mapping[str, Split] = field(default_factory=dict)
    exits: ExitWork | None = None

    def references(self, split: str) -> list[str | list[str]]:
        """Return a split's references, none if the run does without the split."""
        return self.texts[split].target if split in self.texts else []


def prepare_fine_tuning(config: Config, spec: ModelSpec, processes: Processes) -> Job:
    """Read the dataset and build what trains on it, or is tested by it; nothing is written but caches.

    Raises:
        UserError: whatever the user can put right.
    """
    folder = find_dataset(config["data_path"], config.dataset)
    wanted = {
        "train": config["do_train"],
        "valid": config["do_train"] and config["do_valid"],
        "test": config["do_test"],
    }
    limit = quick_test_limit(config["quick_test"])
    texts = {name: load_split(folder, name, limit) for name, needed in wanted.items() if needed}

    def sample() -> list[str]:
        whole = texts.get("train") if limit is None else None
        return training_texts(whole or load_split(folder, "train"))

    with processes.main_first():  # the others find its work in the cache
        made = assemble(config, sample)
        ids = {name: made.encode(split) for name, split in texts.items()}
        exits = exit_work(made, lambda name: ids.get(name) or made.encode(load_split(folder, name, limit)))
    _try_generation(made.model, spec, config, next(iter(ids.values())))
    collator = fine_tuning_collator(config, spec, made.tokenizer)
    return Job(made.tokenizer, made.model, collator, ids.get("train"), ids.get("valid"), ids.get("test"), texts, exits)


def _try_generation(model: PreTrainedModel, spec: ModelSpec, config: Config, ids: Dataset) -> None:
    """Generate for one source, so that unsuitable options are found before the training and not after it."""
    input_ids = torch.tensor(ids[:1]["source_ids"])
    try:
        generate_ids(model.eval(), spec, config, input_ids, torch.ones_like(input_ids))
    except (RuntimeError, LookupError, ArithmeticError, AttributeError, AssertionError) as error:
        raise UserError(
            f"{spec.name} cannot write a text by these sizes and generation_kwargs ({type(error).__name__}: "
            f"{reason_of(error)}): give others."
        ) from error
