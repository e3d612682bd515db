"""Whether memory grows with the corpus: the same pre-training over corpora of two sizes, each in its own process."""

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import parquet
from tqdm import tqdm

from benchmarks.starting import start
from textbox_elmer.bench.options import Options
from textbox_elmer.errors import UserError
from textbox_elmer.subprocesses import environment, run_command

OPTIONS: Options = {
    "small": (20.0, "megabytes of the one corpus"),
    "large": (200.0, "megabytes of the other"),
    "kind": ("src", "kind of file: src, txt, jsonl or parquet"),
    "steps": (30, "steps of the pre-training"),
}
TRAINING = (
    *("--model=ELMER", "--pretrain_task=lplm", "--dataset=corpus", "--use_gpu=False", "--do_valid=False"),
    *("--src_len=128", "--d_model=64", "--encoder_layers=2", "--decoder_layers=2", "--disable_tqdm=True"),
)


def main(settings: dict[str, Any]) -> None:
    """Print the peak memory (resident set) of a short pre-training over each corpus, and the ratio.

    Args:
        settings: `small` and `large` in megabytes of text, `kind` of file (src, txt, jsonl or parquet), `steps`.

    Raises:
        UserError: an unknown kind, or a training that failed.
    """
    peaks = {}
    for size in (settings["small"], settings["large"]):
        with tempfile.TemporaryDirectory() as folder:
            write_corpus(Path(folder) / "dataset" / "corpus", int(size * 10**6), settings["kind"])
            peaks[size] = _peak_of_training(Path(folder), settings["steps"])
        print(f"{size:g} MB of text: peak {peaks[size]:,.0f} MB", flush=True)
    print(f"ratio {peaks[settings['large']] / peaks[settings['small']]:.3f}")


def write_corpus(folder: Path, size: int, kind: str) -> None:
    """Write about `size` bytes of made-up sentences of 60 to 140 characters as one file of a kind.

    Raises:
        UserError: a kind of file that is no corpus.
    """
    if kind not in WRITERS:
        raise UserError(f"The option --kind is one of {', '.join(WRITERS)}, not {kind!r}.")
    folder.mkdir(parents=True)
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghilmnoprstuvy", k=draw.randint(2, 9))) for _ in range(5000)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    bank = draw.choices(words, weights, k=200_000)

    def texts() -> Iterator[str]:
        written = 0
        with tqdm(total=size, desc=f"write {size / 1e6:.0f} MB", unit="B", unit_scale=True, disable=None) as bar:
            while written < size:
                start, count = draw.randrange(len(bank) - 20), draw.randint(10, 20)
                text = " ".join(bank[start : start + count]) + "."
                yield text
                written += len(text) + 1
                bar.update(len(text) + 1)

    WRITERS[kind](folder, texts())


def _write_lines(path: Path, lines: Iterator[str]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def _write_parquet(path: Path, texts: Iterator[str]) -> None:
    schema = pyarrow.schema([("text", pyarrow.string())])
    with parquet.ParquetWriter(path, schema) as writer:
        while rows := list(islice(texts, 100_000)):
            writer.write_table(pyarrow.table({"text": rows}, schema))


WRITERS = {
    "src": lambda folder, texts: _write_lines(folder / "train.src", texts),
    "txt": lambda folder, texts: _write_lines(folder / "train.txt", texts),
    "jsonl": lambda folder, texts: _write_lines(folder / "train.jsonl", (json.dumps({"text": text}) for text in texts)),
    "parquet": lambda folder, texts: _write_parquet(folder / "train.parquet", texts),
}


def _peak_of_training(folder: Path, steps: int) -> float:
    """Return the peak resident set of a training in megabytes."""
    process = subprocess.Popen(
        run_command([*TRAINING, f"--max_steps={steps}"]),
        cwd=folder,
        env=environment(HF_DATASETS_CACHE=str(folder / "cache")),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    messages = process.stderr.read()
    # Unlike RUSAGE_CHILDREN, which keeps the largest child's.
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise UserError(f"The training failed, which said: {messages.strip().splitlines()[-1]}")
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


if __name__ == "__main__":
    raise SystemExit(start("corpus_memory", main, OPTIONS))
