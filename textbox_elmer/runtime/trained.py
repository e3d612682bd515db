"""A model with all that its texts' ids depend on: to be trained, or ready to write as it was trained."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from textbox_elmer.model import ElmerForConditionalGeneration
from textbox_elmer.runtime.catalogue.model_spec import ModelSpec
from textbox_elmer.runtime.catalogue.models import find_model
from textbox_elmer.runtime.config import Config, resolve_config
from textbox_elmer.runtime.data import Split, TextEncoder, encode_split, fine_tuning_collator, fingerprint
from textbox_elmer.runtime.data.collators import prompts
from textbox_elmer.runtime.data.tokenizer import build_tokenizer
from textbox_elmer.runtime.models.building import build_model
from textbox_elmer.runtime.models.generation import Generated, generate_ids, prepared
from textbox_elmer.runtime.models.special_ids import SpecialIds, special_ids
from textbox_elmer.runtime.training.checkpoints import check_saved_config

# What a text depends on beside the weights, the model's own configuration and the options of generate().
SETTINGS = ("src_len", "tgt_len", "truncate", "prefix_prompt", "suffix_prompt", "src_lang", "tgt_lang")
# What a configuration says of its files and not of its model.
ABOUT_FILES = ("_name_or_path", "transformers_version")


@dataclass(frozen=True)
class TrainedModel:
    """A model, trained or to be trained, with all that its texts' ids depend on."""

    spec: ModelSpec
    config: Config
    tokenizer: PreTrainedTokenizerBase
    special: SpecialIds
    model: PreTrainedModel

    @property
    def elmer(self) -> ElmerForConditionalGeneration:
        """The model, which is an ELMER: its specification says `parallel`."""
        return cast(ElmerForConditionalGeneration, self.model)

    def encode(self, split: Split) -> Dataset:
        """Return a split's ids as the model was trained with; `encode_split` says which columns."""
        return encode_split(split, self.tokenizer, self.config, frames=(self.special.source, self.special.target))

    def text_encoder(self) -> TextEncoder:
        """Return what makes ids of texts in memory, as `encode` does of a split.

        Raises:
            UserError: the lengths leave no room for a text.
        """
        return TextEncoder(self.tokenizer, self.config, (self.special.source, self.special.target))

    def sources(self, ids: Dataset, examples: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return some encoded examples' sources as `batch` does."""
        return self.batch(ids[list(examples)]["source_ids"])

    def batch(self, rows: Sequence[Sequence[int]], length: int = 0) -> tuple[Tensor, Tensor]:
        """Return sources' ids and their mask, `[batch, source_length]`, on the model's device.

        Args:
            rows: each source's ids.
            length: how long the batch is at least; by default as its longest row.
        """
        examples = [{"source_ids": row, "target_ids": []} for row in rows]
        batch = fine_tuning_collator(self.config, self.spec, self.tokenizer)(examples)
        sources, mask = batch["input_ids"], batch["attention_mask"]
        if self.spec.causal:
            sources, mask = prompts(batch, self.tokenizer.pad_token_id)
        if (missing := length - sources.shape[1]) > 0:
            sides = (missing, 0) if self.spec.causal else (0, missing)
            sources, mask = F.pad(sources, sides, value=self.tokenizer.pad_token_id), F.pad(mask, sides)
        return sources.to(self.model.device), mask.to(self.model.device)

    def generate(self, sources: Tensor, mask: Tensor, scored: bool = False) -> Generated:
        """Write a text for each row of what `batch` returned.

        Args:
            scored: whether the tokens' probabilities are wanted, if the model is a parallel one.

        Raises:
            UserError: `generation_kwargs` holds what the model's generate() does not take.
        """
        return generate_ids(self.model, self.spec, self.config, sources, mask, scored)

    def identity(self) -> dict[str, Any]:
        """Return all that decides its texts, as JSON values by the names that a user knows them by."""
        settings = {key: self.config[key] for key in SETTINGS}
        options = dict(self.config["generation_kwargs"] or {})
        return {"model": self.spec.name, "model_path": self._digest(), "generation_kwargs": options, **settings}

    def _digest(self) -> str:
        """Return a digest of the weights, the configuration and the tokenizer, wherever they were loaded from."""
        digest = hashlib.sha256()
        # ELMER keeps all that its generate() goes by in its one configuration.
        parts: list[Any] = [self.model.config, *([] if self.spec.parallel else [self.model.generation_config])]
        for part in parts:
            fields = {key: value for key, value in part.to_dict().items() if key not in ABOUT_FILES}
            digest.update(json.dumps(fields, sort_keys=True, default=str).encode())
        digest.update(json.dumps(fingerprint(self.tokenizer)).encode())
        for name, weights in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(weights.float().cpu().numpy()).data)
        return digest.hexdigest()


def run_config(saved: Path, checkpoint: str | Path, **changes: Any) -> Config:
    """Return the configuration of a run for one of its checkpoints at work.

    Args:
        saved: the run's config.yaml.
        checkpoint: the checkpoint's folder.
        changes: further values that are not the run's.

    Raises:
        UserError: the file is missing, damaged or no run's.
    """
    check_saved_config(saved)
    changes |= {"model_path": str(checkpoint), "do_train": False}
    return resolve_config(config_file_list=[saved], config_dict=changes)


def load_trained(config: Config) -> TrainedModel:
    """Load the model and the tokenizer of `model_path`, onto the accelerator if there is one and `use_gpu` says so.

    Raises:
        UserError: a checkpoint that is missing, damaged, of another kind, or that the lengths do not fit.
    """
    trained = assemble(config, list)  # the tokenizer is the checkpoint's: there is no text to learn one from
    trained.model.eval()
    if config["use_gpu"] and torch.accelerator.is_available():
        trained.model.to(torch.accelerator.current_accelerator())  # type: ignore[arg-type]
    prepared(trained.model)  # for good: it only writes
    return trained


def assemble(config: Config, sample: Callable[[], list[str]]) -> TrainedModel:
    """Load, or build, the tokenizer and the model that a configuration asks for.

    Args:
        sample: the texts that a new tokenizer is learnt from.

    Raises:
        UserError: as `build_tokenizer` and `build_model`.
    """
    spec = find_model(config.model)
    tokenizer = build_tokenizer(config, spec, sample)
    model = build_model(config, spec, tokenizer)
    return TrainedModel(spec, config, tokenizer, special_ids(spec, tokenizer, config), model)
