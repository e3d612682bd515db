"""A corpus of the hub as an endless stream, for corpora too large to lie on disk."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import datasets
import numpy as np
from torch.utils.data import Dataset, IterableDataset

from textbox_elmer.errors import UserError
from textbox_elmer.hub import hub_arguments
from textbox_elmer.pretraining.corpus.index import BLOCK_TEXTS, JOINT, Packing
from textbox_elmer.pretraining.corpus.readers import FIELD, is_usable
from textbox_elmer.terminal import reason_of

SHUFFLED = 10_000  # texts
HELD_OUT = 1_000  # texts


def open_stream(dataset: str) -> tuple[datasets.IterableDataset, list[str]]:
    """Open the texts of a hub dataset, `owner/name` or `owner/name:configuration`, for reading as they come.

    Returns:
        its training texts, and the texts to validate on: up to 1,000 of its split `validation`, or, where it has none,
        its first ones, which then are not trained on.

    Raises:
        UserError: the hub does not answer, does not know it, or it has no texts.
    """
    name, _, configuration = dataset.partition(":")
    if hub_arguments(name):
        raise UserError(
            f"There is no folder of the dataset {dataset!r}, and the hub does not answer: put texts into "
            f"dataset/{dataset}/train.src, or connect."
        )
    try:
        splits = datasets.load_dataset(name, configuration or None, streaming=True)
        train = splits["train"]
        if FIELD not in next(iter(train)):
            raise ValueError(f"its rows have no field {FIELD!r}")
        held_out = splits.get("validation")
        valid = [row[FIELD] for row in (held_out or train).take(HELD_OUT) if _has_text(row)]
    except (OSError, ValueError, KeyError, StopIteration) as error:
        reason = reason_of(error)
        raise UserError(f"The hub's dataset {dataset!r} cannot be read as a corpus ({reason}).") from error
    return (train if held_out else train.skip(HELD_OUT)), valid


def first_texts(texts: datasets.IterableDataset, characters: int = 10_000_000) -> list[str]:
    """Return a stream's first texts, about that many characters of them or all that there are."""
    found, size = [], 0
    for row in texts:
        if _has_text(row):
            found.append(row[FIELD])
            size += len(row[FIELD])
        if size >= characters:
            break
    return found


class StreamedCorpus(IterableDataset):
    """One process's share of a streamed corpus, epoch after epoch without end.

    Args:
        texts: the stream, of rows with a field `text`.
        seed: of the order, in which 10,000 texts at a time are shuffled.
        processes, process: how many there are, and which this is.
        packing: how texts share examples; None gives each text one of its own.
    """

    def __init__(
        self,
        texts: datasets.IterableDataset,
        seed: int,
        processes: int = 1,
        process: int = 0,
        packing: Packing | None = None,
    ) -> None:
        self.texts, self.seed = texts, seed
        self.processes, self.process = processes, process
        self.packing = packing

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield examples: `text`, its number `index` in the stream, and its `epoch`."""
        position, epoch = 0, 0
        while True:
            before = position
            for index, text in self._shuffled(epoch):
                if position % self.processes == self.process:
                    yield {"text": text, "index": index, "epoch": epoch}
                position += 1
            if position == before:
                raise UserError("The streamed corpus is empty: its rows hold no text with letters.")
            epoch += 1

    def _shuffled(self, epoch: int) -> Iterator[tuple[int, str]]:
        draw = np.random.default_rng([self.seed, epoch])
        waiting: list[tuple[int, str]] = []
        for example in enumerate(self._examples()):
            if len(waiting) < SHUFFLED:
                waiting.append(example)
                continue
            place = int(draw.integers(SHUFFLED))
            yield waiting[place]
            waiting[place] = example
        for place in draw.permutation(len(waiting)):
            yield waiting[place]

    def _examples(self) -> Iterator[str]:
        texts = (row[FIELD].strip() for row in self.texts if _has_text(row))
        if self.packing is None:
            yield from texts
            return
        while block := list(islice(texts, BLOCK_TEXTS)):
            group = iter(block)
            for size in self.packing.group_sizes(block):
                yield JOINT.join(islice(group, size))


class HeldOutTexts(Dataset):
    """A few texts in memory, addressed as those of a `TextCorpus` are."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        """Return an example's `text`, `index` and `epoch`."""
        epoch, number = key
        return {"text": self.texts[number], "index": number, "epoch": epoch}

    def in_order(self) -> Iterator[int]:
        """Yield the texts' numbers."""
        yield from range(len(self.texts))


def _has_text(row: dict[str, Any]) -> bool:
    return isinstance(row.get(FIELD), str) and is_usable(row[FIELD])
