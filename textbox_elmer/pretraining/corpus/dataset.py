"""A corpus as a map-style dataset, and the order in which an epoch reads it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset, Sampler

from textbox_elmer.pretraining.corpus.blocks import WINDOW, BlockReader
from textbox_elmer.pretraining.corpus.index import CorpusIndex
from textbox_elmer.pretraining.corpus.stream import HeldOutTexts
from textbox_elmer.pretraining.lplm_collator import NOT_COUNTED

Key = tuple[int, int]


class TextCorpus(Dataset):
    """Part of an indexed corpus: examples number `start` to `stop`, each a text with its number and epoch.

    Keys are pairs (epoch, number), which is all that an example's noise depends on.
    """

    def __init__(self, index: CorpusIndex, start: int = 0, stop: int | None = None) -> None:
        self.index, self.start = index, start
        self.stop = index.examples if stop is None else min(stop, index.examples)
        self._reader = BlockReader(index)

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, key: Key) -> dict[str, Any]:
        """Return an example's `text`, `index` and `epoch`."""
        epoch, number = key
        return {"text": self._reader.example(number), "index": number, "epoch": epoch}

    def in_order(self) -> Iterator[int]:
        """Yield the examples' numbers as the corpus has them."""
        yield from range(self.start, self.stop)

    def in_random_order(self, seed: int, epoch: int) -> Iterator[int]:
        """Yield the examples' numbers in an order of this seed and epoch.

        Blocks come in random order, and the texts of 16 blocks at a time are shuffled, which takes a few megabytes
        whatever the corpus's size. The blocks of a parquet file's row group stay together: they can only be read from
        the group's start.
        """
        draw = np.random.default_rng([seed, epoch])
        blocks = self._shuffled_blocks(draw)
        for start in range(0, len(blocks), WINDOW):
            ranges = [self.index.block_examples(block) for block in blocks[start : start + WINDOW]]
            numbers = np.concatenate([np.arange(part.start, part.stop) for part in ranges])
            numbers = numbers[(numbers >= self.start) & (numbers < self.stop)]
            yield from draw.permutation(numbers).tolist()

    def _shuffled_blocks(self, draw: np.random.Generator) -> list[int]:
        group = np.cumsum(~self.index.continues_group()) - 1
        return np.argsort(draw.permutation(group[-1] + 1)[group], kind="stable").tolist()


class CorpusBatches(Sampler[list[Key]]):
    """One process's share of an epoch's batches.

    A step's examples are dealt to the processes in turn, so that the processes together see what one process with a
    batch `processes` times as large sees: every example once an epoch. Where the last step has fewer examples than
    processes, the ones left out get a single example that does not count.

    Args:
        batch_size: examples per process.
        seed: of the order; None keeps the corpus's own, and epoch 0.
        processes, process: how many there are, and which this is.
    """

    def __init__(
        self,
        corpus: TextCorpus | HeldOutTexts,
        batch_size: int,
        seed: int | None = None,
        processes: int = 1,
        process: int = 0,
    ) -> None:
        self.corpus, self.batch_size, self.seed = corpus, batch_size, seed
        self.processes, self.process = processes, process
        self.epoch = 0

    def __len__(self) -> int:
        return -(-len(self.corpus) // (self.batch_size * self.processes))

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order and noise come next."""
        self.epoch = epoch if self.seed is not None else 0

    def __iter__(self) -> Iterator[list[Key]]:
        if self.seed is None:
            numbers = self.corpus.in_order()
        else:
            assert isinstance(self.corpus, TextCorpus)  # a few held-out texts have no other order
            numbers = self.corpus.in_random_order(self.seed, self.epoch)
        step: list[int] = []
        for number in numbers:
            step.append(number)
            if len(step) == self.batch_size * self.processes:
                yield self._share(step)
                step = []
        if step:
            yield self._share(step)

    def _share(self, step: list[int]) -> list[Key]:
        share = [(self.epoch, number) for number in step[self.process :: self.processes]]
        return share or [(NOT_COUNTED, step[0])]


class CorpusLoader(DataLoader):
    """A DataLoader whose epoch the Trainer can set."""

    batch_sampler: CorpusBatches

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order and noise come next."""
        self.batch_sampler.set_epoch(epoch)
