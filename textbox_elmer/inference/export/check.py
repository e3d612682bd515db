"""Whether an exported graph writes the model's texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase

from textbox_elmer.inference.export.session import OnnxElmer
from textbox_elmer.model import ElmerConfig, ElmerForConditionalGeneration
from textbox_elmer.runtime.config import resolve_config
from textbox_elmer.runtime.data import encode_split, find_dataset, load_split
from textbox_elmer.runtime.data.collators import pad

EXAMPLES = 200
BATCH = 16
LONGEST_MADE_UP = 32
SEED = 0


@dataclass(frozen=True)
class Sources:
    """What both sides read: rows of ids, and where they come from, in words."""

    rows: Sequence[Sequence[int]]
    origin: str


def dataset_sources(
    dataset: str, data_path: str, tokenizer: PreTrainedTokenizerBase, positions: int, examples: int = EXAMPLES
) -> Sources:
    """Return a dataset's first test sources, cut as in training but to no more than the model's positions.

    Raises:
        UserError: the dataset is missing or damaged.
    """
    split = load_split(find_dataset(data_path, dataset), "test", examples)
    config = resolve_config("ELMER", dataset)
    lengths = {key: min(config[key], positions) for key in ("src_len", "tgt_len")}
    ids = encode_split(split, tokenizer, dict(config) | lengths)
    return Sources(ids["source_ids"], f"test examples of {dataset}")


def made_up_sources(vocabulary: int, positions: int, examples: int = EXAMPLES) -> Sources:
    """Return rows of random ids, always the same, for a check without a dataset."""
    generator = torch.Generator().manual_seed(SEED)
    lengths = torch.randint(1, min(LONGEST_MADE_UP, positions) + 1, (examples,), generator=generator)
    rows = [torch.randint(vocabulary, (int(length),), generator=generator).tolist() for length in lengths]
    return Sources(rows, "made-up sources of random ids")


@dataclass(frozen=True)
class Comparison:
    """For how many of the sources both sides write exactly the same ids, and how many different texts PyTorch writes.

    The same means by every decoding that an export has; different texts are counted under the first. A model that
    writes few different texts, as a hardly trained one does, proves little by the first number.
    """

    same: int
    examples: int
    different: int


def decodings(config: ElmerConfig) -> tuple[str | None, ...]:
    """Return the decodings that are compared, `generate`'s default first; None: the model has one way to write."""
    return ("lookahead", "greedy", "viterbi") if config.alignment == "dag" else (None,)


def compare(model: ElmerForConditionalGeneration, exported: OnnxElmer, sources: Sources) -> Comparison:
    """Write every source's texts with the model and with the exported graph."""
    padding, ways = model.config.pad_token_id, decodings(model.config)
    wanted, found = [], []
    for start in range(0, len(sources.rows), BATCH):
        rows = sources.rows[start : start + BATCH]
        source = pad(rows, padding), pad([[1] * len(row) for row in rows], 0)
        ours: list[Any] = [model.generate(*source, max_length=exported.canvas, decoding=way) for way in ways]
        wanted.append(_side_by_side(ours, exported, padding))
        theirs = [exported.generate(*source, decoding=way) for way in ways]
        found.append(_side_by_side(theirs, exported, padding))
    texts = torch.cat(wanted)
    same = (texts == torch.cat(found)).all(-1).all(-1)
    return Comparison(int(same.sum()), len(texts), len(texts[:, 0].unique(dim=0)))


def _side_by_side(texts: Sequence[Tensor], exported: OnnxElmer, padding: int) -> Tensor:
    """Stack ids `[batch, longest]`, one tensor a decoding, into `[batch, decodings, most tokens]`."""
    return torch.stack([F.pad(ids, (0, exported.canvas - ids.shape[1]), value=padding) for ids in texts], 1)
