"""From examples to batches of tensors."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from textbox_elmer.model.canvas import IGNORED
from textbox_elmer.runtime.catalogue.model_spec import ModelSpec

Example = dict[str, Sequence[int]]


def pad(rows: Sequence[Sequence[int]], padding: int, length: int | None = None) -> Tensor:
    """Return rows of ids as `[batch, length]`, filled up on the right; `length` is by default the longest row's.

    Raises:
        ValueError: a row is longer than `length`.
    """
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    longest = int(lengths.max())
    length = longest if length is None else length
    if longest > length:
        raise ValueError(f"A row of {longest} ids does not fit into {length}.")
    padded = np.full((len(rows), length), padding, dtype=np.int64)
    padded[np.arange(length) < lengths[:, None]] = np.fromiter(chain.from_iterable(rows), np.int64, int(lengths.sum()))
    return torch.from_numpy(padded)


def _sources(examples: Sequence[Example], pad_token_id: int) -> dict[str, Tensor]:
    rows = [example["source_ids"] for example in examples]
    lengths = torch.tensor([len(row) for row in rows])
    input_ids = pad(rows, pad_token_id)
    return {"input_ids": input_ids, "attention_mask": (torch.arange(input_ids.shape[1]) < lengths[:, None]).long()}


@dataclass
class Seq2SeqCollator:
    """Batches for models that write token by token: labels padded with -100 to the longest target."""

    pad_token_id: int

    def __call__(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Return `input_ids`, `attention_mask` `[batch, source_length]` and `labels` `[batch, target_length]`."""
        return _sources(examples, self.pad_token_id) | {"labels": pad([row["target_ids"] for row in examples], IGNORED)}


@dataclass
class CausalCollator:
    """Batches for models that go on with the source: source and target in one row, padded on the right.

    Labels are -100 on the source and on padding, so that the target alone is learnt.
    """

    pad_token_id: int

    def __call__(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Return `input_ids`, `attention_mask` and `labels`, each `[batch, length]`."""
        rows = [[*row["source_ids"], *row["target_ids"]] for row in examples]
        labels = [[IGNORED] * len(row["source_ids"]) + list(row["target_ids"]) for row in examples]
        return _sources([{"source_ids": row} for row in rows], self.pad_token_id) | {"labels": pad(labels, IGNORED)}


def prompts(batch: dict[str, Tensor], pad_token_id: int) -> tuple[Tensor, Tensor]:
    """Return the sources of a CausalCollator's batch, padded on the left, and their mask, `[batch, source_length]`.

    Generation goes on at the right end of each row.
    """
    are_sources = (batch["labels"] == IGNORED) & batch["attention_mask"].bool()
    lengths = are_sources.sum(1, keepdim=True)
    longest = int(lengths.max())
    places = torch.arange(longest, device=lengths.device) - (longest - lengths)
    ids = batch["input_ids"].gather(1, places.clamp(min=0))
    return ids.masked_fill(places < 0, pad_token_id), (places >= 0).long()


@dataclass
class CanvasCollator:
    """Batches for models that fill a canvas: labels without their bos, padded with -100 to the canvas's length.

    That length is the same for every batch, so that no batch tells how long its texts are.
    """

    pad_token_id: int
    bos_token_id: int
    canvas_length: int

    def __call__(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Return `input_ids`, `attention_mask` `[batch, source_length]` and `labels` `[batch, canvas_length]`."""
        targets = [row["target_ids"] for row in examples]
        targets = [row[1:] if len(row) and row[0] == self.bos_token_id else row for row in targets]
        return _sources(examples, self.pad_token_id) | {"labels": pad(targets, IGNORED, self.canvas_length)}


def fine_tuning_collator(config: Mapping[str, Any], spec: ModelSpec, tokenizer: PreTrainedTokenizerBase) -> Callable:
    """Return what makes batches of a dataset's ids for a model."""
    if spec.parallel:
        return CanvasCollator(tokenizer.pad_token_id, tokenizer.bos_token_id, canvas_length=config["tgt_len"])
    return (CausalCollator if spec.causal else Seq2SeqCollator)(tokenizer.pad_token_id)
