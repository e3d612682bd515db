"""How fast texts are corrupted, beside how fast they are tokenized: one core, the same texts, in turns."""

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

# Before the tokenizer's library is first used: both sides get one core.
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from benchmarks.starting import start
from textbox_elmer.bench.options import Options
from textbox_elmer.pretraining import PretrainingCollator
from textbox_elmer.pretraining.corruption import permute_sentences
from textbox_elmer.pretraining.encoding import encode_texts
from textbox_elmer.pretraining.noise import example_keys
from textbox_elmer.runtime.data import find_dataset, load_split, load_tokenizer, train_tokenizer
from textbox_elmer.runtime.runs.logs import log_to_console

ROUNDS = 7
MAX_TOKENS = 510
TEXTS = 4096
WORDS_OF_A_SHORT_TEXT = 12
OPTIONS: Options = {
    "data_path": ("dataset", "the folder of datasets"),
    "dataset": ("apidoc", "whose texts are read"),
    "tokenizer_path": (None, "the tokenizer's folder (default: one is trained)"),
    "batch_size": (16, "texts corrupted at once"),
}


def main(settings: dict[str, Any]) -> None:
    """Print tokens per second of tokenization and of corruption, and their ratio, for texts of three lengths.

    Corrupted is what is tokenized already, its sentences found; the collator's own figure has tokenization, sentences,
    corruption and padding in it.

    Raises:
        UserError: a missing dataset.
    """
    log_to_console("warning")
    split = load_split(find_dataset(settings["data_path"], settings["dataset"]), "train", TEXTS)
    path = settings["tokenizer_path"]
    tokenizer = load_tokenizer(str(path)) if path else train_tokenizer(split.source, 4000)
    collator = PretrainingCollator(tokenizer, seed=0, canvas_positions=1024, exit_layers=6)
    lengths = {
        "short": [" ".join(text.split()[:WORDS_OF_A_SHORT_TEXT]) for text in split.source],
        "as they are": split.source,
        "long": [" ".join(split.source[start : start + 8]) for start in range(0, len(split.source), 4)],
    }
    print(f"{settings['dataset']}, batches of {settings['batch_size']}, median of {ROUNDS} rounds, one core")
    print("| texts | tokens a text | tokenizer, tokens/s | corruption, tokens/s | ratio | whole collator, tokens/s |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, texts in lengths.items():
        print(_row(name, texts, collator, settings["batch_size"]))


def _row(name: str, texts: list[str], collator: PretrainingCollator, batch_size: int) -> str:
    groups = [texts[start : start + batch_size] for start in range(0, len(texts), batch_size)]
    encoded = [encode_texts(group, collator.tokenizer, MAX_TOKENS) for group in groups]
    tokens = sum(len(batch.ids) for batch in encoded)
    fast = collator.tokenizer.backend_tokenizer
    fast.no_truncation()
    all_tokens = sum(len(row.ids) for row in fast.encode_batch_fast(texts, add_special_tokens=False))

    def tokenize() -> None:
        for group in groups:
            fast.encode_batch_fast(group, add_special_tokens=False)

    def corrupt() -> None:
        for number, batch in enumerate(encoded):
            examples = np.arange(len(batch.lengths)) + number * batch_size
            keys = example_keys(0, np.zeros_like(examples), examples)
            collator.infill(permute_sentences(batch, keys), keys)

    def collate() -> None:
        for number, group in enumerate(groups):
            examples = enumerate(group, start=number * batch_size)
            collator([{"text": text, "index": index, "epoch": 0} for index, text in examples])

    seconds: dict[Callable[[], None], list[float]] = {tokenize: [], corrupt: [], collate: []}
    for _ in range(ROUNDS):
        for work, measured in seconds.items():
            start = time.process_time()
            work()
            measured.append(time.process_time() - start)
    medians = [statistics.median(measured) for measured in seconds.values()]
    # The tokenizer is not asked to cut, which would only make it slower.
    rates = [all_tokens / medians[0], tokens / medians[1], tokens / medians[2]]
    shown = " | ".join(f"{rate:,.0f}" for rate in rates[:2])
    return f"| {name} | {tokens / len(texts):.0f} | {shown} | {rates[1] / rates[0]:.2f} | {rates[2]:,.0f} |"


if __name__ == "__main__":
    raise SystemExit(start("corruption", main, OPTIONS))
