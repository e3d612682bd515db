"""What the command `generate` costs beside the bare model: texts/s of its inner loop, and of `model.generate` alone."""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from textbox_elmer.bench.made_up_models import made_up_texts, planted_elmer
from textbox_elmer.inference import TextWriter
from textbox_elmer.runtime.trained import TrainedModel

BAR = 0.9


def main(settings: dict[str, Any]) -> None:
    """Print the texts/s of both, and the ratio.

    Args:
        settings: the options of `bench generate`, as its --help lists them.
    """
    texts = made_up_texts(settings["texts"], settings["src_len"])
    writer = TextWriter(planted_elmer(settings, texts), settings["batch_size"])
    rows = sorted(writer.trained.text_encoder().sources(texts).ids, key=len, reverse=True)
    starts = range(0, len(rows), settings["batch_size"])
    batches = [writer.trained.batch(rows[start : start + settings["batch_size"]]) for start in starts]
    calls: dict[str, Callable[[], object]] = {
        "generate": partial(writer, texts),
        "bare": partial(_write_bare, writer.trained, batches),
    }
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for round_ in range(settings["rounds"] + 1):  # the first one warms up
        for name, call in calls.items():
            took = _timed(call)
            if round_:
                seconds[name].append(took)
    rates = {name: len(texts) / statistics.median(found) for name, found in seconds.items()}
    print(f"model.generate on the same batches: {rates['bare']:,.1f} texts/s")
    print(f"textbox-elmer generate, its inner loop: {rates['generate']:,.1f} texts/s")
    print(f"ratio {rates['generate'] / rates['bare']:.3f} (bar: {BAR} or more)")


def _write_bare(trained: TrainedModel, batches: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    generate: Any = trained.model.generate
    for sources, mask in batches:
        generate(input_ids=sources, attention_mask=mask, max_length=trained.config["tgt_len"]).tolist()


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
