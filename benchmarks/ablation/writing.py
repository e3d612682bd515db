"""What a trained row writes, and how good and how varied that is."""

import math
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from datasets import Dataset
from tqdm import tqdm

from textbox_elmer.metrics import evaluate
from textbox_elmer.runtime.data import Split
from textbox_elmer.runtime.models.generation import prepared
from textbox_elmer.runtime.trained import TrainedModel
from textbox_elmer.text.decoding import decode_texts

BATCH = 64


def write(
    trained: TrainedModel, ids: Dataset, max_length: int, options: Mapping[str, Any], name: str
) -> tuple[list[str], float]:
    """Return the texts for an encoded split's sources and the ms that each took, in batches of 64."""
    generate: Any = trained.model.generate
    rows, seconds = [], 0.0
    with prepared(trained.model):
        for start in tqdm(range(0, len(ids), BATCH), desc=name, disable=None):
            sources, mask = trained.sources(ids, range(start, min(start + BATCH, len(ids))))
            began = time.perf_counter()
            rows += generate(sources, attention_mask=mask, max_length=max_length, **options).tolist()
            seconds += time.perf_counter() - began
    return decode_texts(trained.tokenizer, rows), 1000 * seconds / len(ids)


def scores(texts: Sequence[str], split: Split, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return ROUGE, the number of distinct texts, and the share of words that equal their left neighbour."""
    words = [text.split() for text in texts]
    repeated = sum(left == right for text in words for left, right in pairwise(text))
    found = evaluate(texts, split.target, dict(config) | {"metrics": ["rouge"]})
    found |= {"texts": len(texts), "distinct": len(set(texts))}
    return found | {"repeated": repeated / max(sum(map(len, words)), 1)}


class TransitionEntropy:
    """The mean entropy of a graph's transitions in nats, over all vertices but the last, while texts are written.

    Use it as a context. A graph that has degenerated into one chain of vertices has none.
    """

    def __init__(self, links: torch.nn.Module) -> None:
        self.links, self.total, self.vertices = links, 0.0, 0

    def __enter__(self) -> "TransitionEntropy":
        self.hook = self.links.register_forward_hook(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        self.hook.remove()

    def mean(self) -> float:
        """Return it, NaN before anything is written."""
        return self.total / self.vertices if self.vertices else math.nan

    def _count(self, _: torch.nn.Module, __: tuple, transitions: torch.Tensor) -> None:
        entropies = torch.special.entr(transitions[:, :-1].exp()).sum(-1)
        self.total += float(entropies.sum())
        self.vertices += entropies.numel()
