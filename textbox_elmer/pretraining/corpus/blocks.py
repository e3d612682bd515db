"""Reading an index's blocks, each once where possible."""

from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice

from textbox_elmer.errors import UserError
from textbox_elmer.pretraining.corpus.index import JOINT, CorpusIndex
from textbox_elmer.pretraining.corpus.readers import is_usable, read_texts

WINDOW = 16  # blocks whose examples are shuffled together
KEPT = 2 * WINDOW + 1  # blocks


class BlockReader:
    """Reads blocks of examples and keeps the latest few.

    Of a parquet file's row group, which can only be read forwards, it goes on where it stopped.
    """

    def __init__(self, index: CorpusIndex) -> None:
        self.index = index
        self._kept: OrderedDict[int, list[str]] = OrderedDict()
        self._continues = index.continues_group()
        self._texts: Iterator[str] = iter(())
        self._next = -1  # the block that `_texts` has reached

    def example(self, number: int) -> str:
        """Return the text of an example.

        Raises:
            UserError: a file changed or vanished since it was indexed.
        """
        block = self.index.block_of(number)
        if block not in self._kept:
            self._load(block)
        return self._kept[block][number - int(self.index.blocks["first"][block])]

    def _load(self, block: int) -> None:
        if not (0 <= self._next <= block < self._next + KEPT and self._continues[self._next : block + 1].all()):
            # The blocks before it in its row group have to be passed anyway, and are likely to be wanted next.
            first = block
            while first > block - WINDOW + 1 and self._continues[first]:
                first -= 1
            path, place = self.index.place(first)
            self._texts = (text for _, text in read_texts(path, place) if is_usable(text))
            self._next = first
        for number in range(self._next, block + 1):
            self._kept[number] = self._read(number)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._next = block + 1 if block + 1 < len(self._continues) else -1

    def _read(self, block: int) -> list[str]:
        numbers, packs = self.index.block_examples(block), self.index.texts_per_example
        counts = [1] * len(numbers) if packs is None else packs[numbers.start : numbers.stop].tolist()
        examples = [list(islice(self._texts, count)) for count in counts]
        if [len(texts) for texts in examples] != counts:
            path, _ = self.index.place(block)
            raise UserError(f"{str(path)!r} has become shorter while it was being read: start again.")
        return [JOINT.join(texts) for texts in examples]


def sample_texts(index: CorpusIndex, characters: int = 10_000_000) -> list[str]:
    """Return the texts of evenly spaced blocks, about that many characters of them or all that there are."""
    share = min(1.0, characters / sum(path.stat().st_size for path in index.files))
    reader, texts = BlockReader(index), []
    for block in range(len(index.blocks)):
        if int((block + 1) * share) > int(block * share):
            texts += [reader.example(number) for number in index.block_examples(block)]
    return texts
