"""What `pretraining/corpus` has that `datasets` has not: the same files read by its index, as a stream and as Arrow."""

import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import torch

from benchmarks.corpus_memory import write_corpus
from benchmarks.starting import start
from textbox_elmer.bench.memory import peak_megabytes
from textbox_elmer.bench.options import Options
from textbox_elmer.pretraining.corpus import TextCorpus, build_index, find_files
from textbox_elmer.pretraining.corpus.blocks import WINDOW
from textbox_elmer.pretraining.corpus.index import BLOCK_TEXTS
from textbox_elmer.pretraining.corpus.readers import is_usable, read_texts

OPTIONS: Options = {
    "size": (50.0, "megabytes of text"),
    "kind": ("src", "kind of file: src, txt, jsonl or parquet"),
}
BATCH = 16  # texts

# Reads an epoch in random order; given a number, as a training that is resumed behind so many texts reads the rest.
Read = Callable[[int], Iterator[str]]


def main(settings: dict[str, Any]) -> None:
    """Print what three ways of reading a corpus cost, and whether a resumed one reads what it would have read.

    Args:
        settings: `size` in megabytes, `kind` of file.

    Raises:
        UserError: an unknown kind.
    """
    datasets.disable_progress_bars()
    print("| way | to open, CPU s | an epoch, CPU s | memory, MB | disk, MB | right texts after a resume |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        write_corpus(Path(folder) / "corpus", int(settings["size"] * 10**6), settings["kind"])
        files = find_files(Path(folder) / "corpus").train
        for name, way in WAYS.items():
            print(_row(name, way, files, Path(folder) / name), flush=True)


def _row(name: str, way: Callable[[list[Path], Path], Read], files: list[Path], cache: Path) -> str:
    seconds: list[float] = []
    texts: list[str] = []

    def measured() -> None:
        seconds.append(time.process_time())
        read = way(files, cache)
        seconds.append(time.process_time())
        count = sum(1 for _ in read(0))
        seconds.append(time.process_time())
        half = count // 2
        went_on, resumed = (list(islice(part, 1000)) for part in (islice(read(0), half, None), read(half)))
        texts.append(f"{sum(a == b for a, b in zip(went_on, resumed, strict=False)) / len(went_on):.0%}")

    memory = peak_megabytes(measured, torch.device("cpu"))
    disk = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) / 1e6
    opened, epoch = seconds[1] - seconds[0], seconds[2] - seconds[1]
    return f"| {name} | {opened:.1f} | {epoch:.1f} | {memory:.0f} | {disk:.1f} | {texts[0]} |"


def _by_index(files: list[Path], cache: Path) -> Read:
    corpus = TextCorpus(build_index(files, cache_dir=cache))
    return lambda done: (corpus[0, number]["text"] for number in islice(corpus.in_random_order(0, 0), done, None))


def _as_stream(files: list[Path], cache: Path) -> Read:
    def read(done: int) -> Iterator[str]:
        stream = datasets.IterableDataset.from_generator(_rows, gen_kwargs={"files": files})
        stream = stream.shuffle(seed=0, buffer_size=WINDOW * BLOCK_TEXTS)
        if done:
            for _ in islice(stream, done):
                pass
            stream.load_state_dict(stream.state_dict())
        yield from (row["text"] for row in stream)

    return read


def _as_arrow(files: list[Path], cache: Path) -> Read:
    corpus = TextCorpus(build_index(files, cache_dir=cache.with_name("order")))
    table = datasets.Dataset.from_generator(_rows, gen_kwargs={"files": files}, cache_dir=str(cache))

    def read(done: int) -> Iterator[str]:
        numbers = islice(corpus.in_random_order(0, 0), done, None)
        while batch := list(islice(numbers, BATCH)):
            yield from table[batch]["text"]

    return read


def _rows(files: list[Path]) -> Iterator[dict[str, str]]:
    for path in files:
        yield from ({"text": text} for _, text in read_texts(path) if is_usable(text))


WAYS = {"index": _by_index, "stream": _as_stream, "arrow": _as_arrow}


if __name__ == "__main__":
    raise SystemExit(start("corpus_reading", main, OPTIONS))
