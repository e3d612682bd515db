"""What the command `generate` costs beside the bare model: texts/s of its inner loop, and of `model.generate` alone."""

import random
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from textbox_elmer.bench.planted_weights import plant
from textbox_elmer.bench.sizes import sizes_of
from textbox_elmer.inference import TextWriter
from textbox_elmer.runtime.catalogue.models import find_model
from textbox_elmer.runtime.config import resolve_config
from textbox_elmer.runtime.models.building import build_model
from textbox_elmer.runtime.models.generation import prepared
from textbox_elmer.runtime.models.special_ids import special_ids
from textbox_elmer.runtime.trained import TrainedModel
from textbox_elmer.text.vocabulary import learn_tokenizer

# The published ELMER, whose texts can be planted.
PUBLISHED = {"alignment": "position", "canvas_scale": 1, "copy_source": False, "normalize_before": False}
WORDS, VOCABULARY = 5000, 8000
BAR = 0.9


def main(settings: dict[str, Any]) -> None:
    """Print the texts/s of both, and the ratio.

    Args:
        settings: the options of `bench generate`, as its --help lists them.
    """
    texts = _texts(settings["texts"], settings["src_len"])
    writer = TextWriter(_planted(settings, texts), settings["batch_size"])
    rows = sorted(writer.trained.text_encoder().sources(texts).ids, key=len, reverse=True)
    starts = range(0, len(rows), settings["batch_size"])
    batches = [writer.trained.batch(rows[start : start + settings["batch_size"]]) for start in starts]
    calls = {"generate": partial(writer, texts), "bare": partial(_write_bare, writer.trained, batches)}
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


def _texts(count: int, longest: int) -> list[str]:
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghilmnoprstuvy", k=draw.randint(2, 9))) for _ in range(WORDS)]
    return [" ".join(draw.choices(words, k=draw.randint(20, max(longest // 2, 20)))) for _ in range(count)]


def _planted(settings: dict[str, Any], texts: list[str]) -> TrainedModel:
    fields = sizes_of(settings) | {"init_std": 0.02, "exit_mode": "soft", **PUBLISHED}
    fields |= {name: settings[name] for name in ("src_len", "tgt_len")}
    config = resolve_config("ELMER", "", config_dict=fields)
    spec, tokenizer = find_model("ELMER"), learn_tokenizer(texts, VOCABULARY)
    torch.manual_seed(0)
    model = build_model(config, spec, tokenizer).eval()
    plant(model, settings["output"], settings["tgt_len"])
    model.to(settings["device"])
    prepared(model, spec)  # for good, as the command's
    return TrainedModel(spec, config, tokenizer, special_ids(spec, tokenizer, config), model)


def _write_bare(trained: TrainedModel, batches: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    for sources, mask in batches:
        trained.model.generate(input_ids=sources, attention_mask=mask, max_length=trained.config["tgt_len"]).tolist()


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
