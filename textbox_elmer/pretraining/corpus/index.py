"""A sparse index of a corpus: where blocks of texts begin, so that any text is found by its number.

It has an entry per few hundred texts and none per text, which keeps it small for corpora far larger than memory.
"""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from textbox_elmer.cache import cached, content_key
from textbox_elmer.errors import UserError
from textbox_elmer.pretraining.corpus.readers import Place, is_usable, read_texts

logger = logging.getLogger(__name__)

FORMAT = 1
BLOCK_TEXTS = 256
BLOCK_BYTES = 1 << 18
SHOW_BAR_FROM = 1 << 26  # bytes
BLOCK = np.dtype([("file", "i8"), ("position", "i8"), ("offset", "i8"), ("line", "i8"), ("first", "i8")])
JOINT = "\n"  # between texts that share an example


@dataclass(frozen=True)
class Packing:
    """How texts share examples.

    Attributes:
        count_tokens: says how many tokens each of some texts has.
        max_tokens: most tokens of an example.
        key: a name for the tokenizer that counts.
    """

    count_tokens: Callable[[list[str]], list[int]]
    max_tokens: int
    key: str = ""

    def group_sizes(self, texts: list[str]) -> list[int]:
        """Group texts in their order, as many as fit with a token between two; return the groups' sizes."""
        groups: list[int] = []
        used = self.max_tokens
        for count in self.count_tokens(texts):
            if used + 1 + count <= self.max_tokens:
                groups[-1], used = groups[-1] + 1, used + 1 + count
            else:
                groups.append(1)
                used = count
        return groups


@dataclass
class CorpusIndex:
    """Where a corpus's examples lie. An example is one text, or, in a packed corpus, a few in a row.

    Attributes:
        files: the corpus's files.
        blocks: per block, its file's number, the place of its first text there, and the number of its first example.
        examples: how many there are.
        texts_per_example: in a packed corpus, how many texts each example holds.
        notes: sentences for the user about what was left out.
    """

    files: list[Path]
    blocks: np.ndarray
    examples: int
    texts_per_example: np.ndarray | None = None
    notes: list[str] = field(default_factory=list)

    def block_of(self, example: int) -> int:
        """Return the block that an example lies in."""
        return int(np.searchsorted(self.blocks["first"], example, side="right")) - 1

    def block_examples(self, block: int) -> range:
        """Return the numbers of a block's examples."""
        last = block + 1 == len(self.blocks)
        return range(int(self.blocks["first"][block]), self.examples if last else int(self.blocks["first"][block + 1]))

    def place(self, block: int) -> tuple[Path, Place]:
        """Return the file that a block lies in, and where."""
        entry = self.blocks[block]
        place = Place(int(entry["position"]), int(entry["offset"]), int(entry["line"]))
        return self.files[int(entry["file"])], place

    def continues_group(self) -> np.ndarray:
        """Say of each block whether it goes on with the row group of the one before, `[blocks]`.

        Such a block can only be reached by reading its group from the start.
        """
        continues = np.zeros(len(self.blocks), dtype=bool)
        same = (np.diff(self.blocks["file"]) == 0) & (np.diff(self.blocks["position"]) == 0)
        continues[1:] = same & (self.blocks["offset"][1:] > 0)
        return continues


def build_index(
    files: Sequence[Path], skip_bad_files: bool = False, packing: Packing | None = None, cache_dir: Path | None = None
) -> CorpusIndex:
    """Read every text once, checking all that could go wrong later, and note where blocks begin; or find it cached.

    Args:
        files: in the order in which their texts are numbered.
        skip_bad_files: leave out files that cannot be read, with a note, instead of stopping.
        packing: how texts share examples; None gives each text one of its own.

    Raises:
        UserError: a file or line that cannot be read, or nothing to learn from in any.
    """
    stats = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    packed = None if packing is None else [packing.key, packing.max_tokens]
    key = content_key(FORMAT, stats, skip_bad_files, packed)

    def make() -> CorpusIndex:
        return _Indexer(list(files), skip_bad_files, packing).run()

    def save(index: CorpusIndex, folder: Path) -> None:
        arrays: dict[str, Any] = {"blocks": index.blocks}
        if index.texts_per_example is not None:
            arrays["texts_per_example"] = index.texts_per_example
        np.savez(folder / "blocks.npz", **arrays)
        text = json.dumps({"examples": index.examples, "notes": index.notes})
        (folder / "index.json").write_text(text, encoding="utf-8")

    def load(folder: Path) -> CorpusIndex:
        with np.load(folder / "blocks.npz", allow_pickle=False) as arrays:
            loaded = dict(arrays)
        return CorpusIndex(list(files), **loaded, **json.loads((folder / "index.json").read_text(encoding="utf-8")))

    index = cached(f"corpus-{key}", cache_dir, make, save, load)
    for note in index.notes:
        logger.warning(note)
    return index


class _Indexer:
    """One pass over a corpus."""

    def __init__(self, files: list[Path], skip_bad_files: bool, packing: Packing | None) -> None:
        self.files, self.skip_bad_files, self.packing = files, skip_bad_files, packing
        self.blocks: list[tuple[int, int, int, int, int]] = []
        self.packs: list[np.ndarray] = []
        self.notes: list[str] = []
        self.examples = self.left_out = 0
        self.left_out_first = ""
        self.one_word_only = True

    def run(self) -> CorpusIndex:
        size = sum(path.stat().st_size for path in self.files)
        hidden = None if size >= SHOW_BAR_FROM else True  # None: where stderr is a terminal
        done = 0
        with tqdm(total=size, desc="index corpus", unit="B", unit_scale=True, disable=hidden) as self.bar:
            for number, path in enumerate(self.files):
                self._file(number, path)
                done += path.stat().st_size
                self.bar.update(done - self.bar.n)
        names = str(self.files[0]) if len(self.files) == 1 else f"{self.files[0].parent} ({len(self.files)} files)"
        if not self.examples:
            raise UserError(f"The corpus {names!r} is empty: write one text a line into it, texts with letters.")
        if self.one_word_only:
            raise UserError(
                f"Every text of the corpus {names!r} is a single word, and hiding whole words leaves nothing of it: "
                "write whole sentences, one text a line."
            )
        if self.left_out:
            others = f" and {self.left_out - 1:,} more" if self.left_out > 1 else ""
            self.notes.append(f"{self.left_out_first}{others} left out: there are no letters to learn from.")
        packs = np.concatenate(self.packs) if self.packs else None
        return CorpusIndex(self.files, np.array(self.blocks, dtype=BLOCK), self.examples, packs, self.notes)

    def _file(self, number: int, path: Path) -> None:
        before = (len(self.blocks), self.examples, len(self.packs))
        try:
            self._blocks(number, path)
        except UserError as error:
            if not self.skip_bad_files:
                raise
            # None of its texts count, so that the same file gives the same corpus wherever it broke.
            blocks, self.examples, packs = before
            del self.blocks[blocks:], self.packs[packs:]
            self.notes.append(f"{str(path)!r} is left out: {str(error).split(': ')[0]}.")

    def _blocks(self, number: int, path: Path) -> None:
        texts: list[str] = []
        size, begin = 0, None
        for place, text in read_texts(path):
            if not is_usable(text):
                self.left_out += 1
                self.left_out_first = self.left_out_first or f"{str(path)!r}, line {place.line},"
                continue
            self.one_word_only = self.one_word_only and len(text.split(None, 1)) == 1
            if begin is None:
                begin, texts, size = place, [], 0
            texts.append(text)
            size += len(text)
            if len(texts) == BLOCK_TEXTS or size >= BLOCK_BYTES:
                self._close(number, begin, texts)
                begin = None
        if begin is not None:
            self._close(number, begin, texts)

    def _close(self, number: int, begin: Place, texts: list[str]) -> None:
        if self.blocks and self.blocks[-1][0] == number and not begin.offset:
            self.bar.update(begin.position - self.blocks[-1][1])
        self.blocks.append((number, begin.position, begin.offset, begin.line, self.examples))
        if self.packing is None:
            self.examples += len(texts)
            return
        packs = self.packing.group_sizes(texts)
        self.packs.append(np.array(packs, dtype=np.uint16))
        self.examples += len(packs)
