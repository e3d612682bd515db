"""Training steps of ELMER beside BART's: examples and tokens a second, memory, share of the device's peak."""

import json
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm
from transformers import BartConfig, BartForConditionalGeneration, PreTrainedModel

from benchmarks.starting import start
from textbox_elmer.bench.latency import machine
from textbox_elmer.bench.memory import peak_megabytes
from textbox_elmer.bench.options import Options
from textbox_elmer.bench.sizes import sizes_of
from textbox_elmer.bench.timing import seconds_of
from textbox_elmer.files import write_atomically
from textbox_elmer.model import ElmerConfig, ElmerForConditionalGeneration

OPTIONS: Options = {
    "out": ("saved/training_speed.json", "where the figures go"),
    "device": ("cpu", "cpu, or cuda where there is one"),
    "rounds": (20, "steps that the medians are of"),
    "batch_size": (64, "examples of a step"),
    "source": (400, "tokens of a source in fine-tuning"),
    "target": (64, "tokens of a target in fine-tuning"),
    "text": (512, "tokens of a text in pre-training"),
    "layers": (6, "layers of the encoder, and of the decoder"),
    "d_model": (768, "the models' width"),
    "vocab_size": (50265, "tokens that the models know"),
    "peak_tflops": (989.0, "what the device can do: an H100, dense, in bfloat16"),
}
POSITION = {"alignment": "position", "exit_mode": "soft"}
GRAPH = {"alignment": "dag", "canvas_scale": 2, "copy_source": True, "exit_mode": "last"}
Step = Callable[[], None]


def main(settings: dict[str, Any]) -> None:
    """Print a table of steps (forward, backward, AdamW; bfloat16 under autocast), one model after the other.

    Args:
        settings: those of `OPTIONS`.
    """
    device = torch.device(settings["device"])
    print(machine(device, settings), flush=True)
    rows = [measure(name, step, settings, tokens, device) for name, tokens, step in steps(settings, device)]
    print(f"\n{markdown(rows, settings)}")
    Path(settings["out"]).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(Path(settings["out"]), json.dumps({"settings": settings, "rows": rows}, indent=2))


def steps(settings: dict[str, Any], device: torch.device) -> Iterator[tuple[str, int, Step]]:
    """Yield each row's name, the tokens of an example that it predicts, and its step."""
    sizes = sizes_of(settings) | {"vocab_size": settings["vocab_size"], "max_position_embeddings": 1024}
    target, text = settings["target"], settings["text"]
    fine_tuning = {"input_ids": settings["source"], "labels": target}
    bart = BartForConditionalGeneration(BartConfig(**sizes))
    yield "BART, fine-tuning", target, _step(bart, _batch(settings, fine_tuning, device), device)
    for name, fields in (("position, soft exit", POSITION), ("dag", GRAPH)):
        elmer = ElmerForConditionalGeneration(ElmerConfig(**sizes, **fields))
        batch = _batch(settings, fine_tuning, device) | {"return_logits": False}
        yield f"ELMER, fine-tuning, {name}", target, _step(elmer, batch, device)
    elmer = ElmerForConditionalGeneration(ElmerConfig(**sizes, **POSITION))
    batch = _batch(settings, {"input_ids": text, "labels": text}, device) | {"return_logits": False}
    batch["exit_layers"] = torch.randint(settings["layers"], batch["labels"].shape, device=device)
    yield "ELMER, LPLM", text, _step(elmer, batch, device)


def measure(name: str, step: Step, settings: dict[str, Any], tokens: int, device: torch.device) -> dict[str, Any]:
    """Return a row: the median of `rounds` steps, memory, and the step's floating-point operations."""
    seconds = []
    for turn in tqdm(range(settings["rounds"] + 3), desc=name, disable=None):
        spent = seconds_of(step, device)
        if turn >= 3:  # the first ones warm up
            seconds.append(spent)
    median = statistics.median(seconds)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        step()
    return {
        "name": name,
        "seconds": median,
        "examples_per_second": settings["batch_size"] / median,
        "tokens_per_second": settings["batch_size"] * tokens / median,
        "megabytes": peak_megabytes(step, device),
        "share_of_peak": counter.get_total_flops() / median / (settings["peak_tflops"] * 1e12),
    }


def markdown(rows: list[dict[str, Any]], settings: dict[str, Any]) -> str:
    """Return the table."""
    lines = [
        f"Batches of {settings['batch_size']}: {settings['source']} source and {settings['target']} target tokens, "
        f"LPLM {settings['text']}; bfloat16 under autocast, AdamW; memory is what a step needs beyond weights and "
        f"optimizer; peak: {settings['peak_tflops']:g} TFLOP/s.",
        "",
        "| step | s | examples/s | target tokens/s | MB | share of the peak |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        rates = f"{row['seconds']:.4f} | {row['examples_per_second']:,.1f} | {row['tokens_per_second']:,.0f}"
        lines.append(f"| {row['name']} | {rates} | {row['megabytes']:,.0f} | {row['share_of_peak']:.1%} |")
    return "\n".join(lines)


def _batch(settings: dict[str, Any], lengths: dict[str, int], device: torch.device) -> dict[str, Any]:
    shape = settings["batch_size"]
    return {
        name: torch.randint(5, settings["vocab_size"], (shape, length), device=device)
        for name, length in lengths.items()
    }


def _step(model: PreTrainedModel, batch: dict[str, Tensor], device: torch.device) -> Step:
    model.to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    return partial(_train, model, batch, optimizer)


def _train(model: PreTrainedModel, batch: dict[str, Tensor], optimizer: torch.optim.Optimizer) -> None:
    with torch.autocast(model.device.type, torch.bfloat16):
        loss = model(**batch).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()


if __name__ == "__main__":
    raise SystemExit(start("training_speed", main, OPTIONS))
