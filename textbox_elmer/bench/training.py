"""What a training step costs beside a plain one, which holds every exit's logits: peak memory, time, gradients."""

import json
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from textbox_elmer.bench.latency import machine
from textbox_elmer.bench.memory import peak_megabytes
from textbox_elmer.bench.sizes import sizes_of
from textbox_elmer.bench.timing import seconds_of
from textbox_elmer.bench.training_graph import markdown as graph_lines
from textbox_elmer.bench.training_graph import measure_graph
from textbox_elmer.files import write_atomically
from textbox_elmer.model import ElmerConfig, ElmerForConditionalGeneration
from textbox_elmer.model.exits import leave_at, leave_soft

Batch = dict[str, Tensor]


def main(settings: dict[str, Any]) -> None:
    """Print what steps cost, ours beside plain ones and with a graph beside one token a position; write it as JSON.

    Args:
        settings: the options of `bench training`, as its --help lists them.
    """
    device = torch.device(settings["device"])
    model, batch = build(settings, device)
    exit_layers = torch.randint(settings["layers"], batch["labels"].shape, device=device)
    steps = {"fine-tuning, soft exit": batch, "LPLM": batch | {"exit_layers": exit_layers}}
    rows = [measure(name, model, inputs, settings["rounds"], device) for name, inputs in steps.items()]
    del model
    graph = measure_graph(partial(build, settings, device), settings["rounds"], device)
    print(f"{machine(device, settings)}\n\n{markdown(rows, settings)}\n\n{graph_lines(graph, settings)}")
    Path(settings["out"]).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(Path(settings["out"]), json.dumps({"settings": settings, "rows": rows, "graph": graph}, indent=2))


def build(
    settings: dict[str, Any], device: torch.device, fields: dict[str, Any] | None = None
) -> tuple[ElmerForConditionalGeneration, Batch]:
    """Return a random model, with further fields of its configuration, and a batch of targets of the longest length."""
    words = settings["vocab_size"]
    torch.manual_seed(0)
    config = ElmerConfig(vocab_size=words, dropout=0.0, **sizes_of(settings), **fields or {})
    model = ElmerForConditionalGeneration(config)
    shapes = {"input_ids": settings["source"], "labels": settings["target"]}
    batch = {
        name: torch.randint(5, words, (settings["batch_size"], length), device=device)
        for name, length in shapes.items()
    }
    return model.to(device).train(), batch  # type: ignore[arg-type]


def our_loss(model: ElmerForConditionalGeneration, batch: Batch) -> Tensor:
    """Return the loss as the Trainer asks for it."""
    return model(**batch, return_logits=False).loss


def plain_loss(model: ElmerForConditionalGeneration, batch: Batch) -> Tensor:
    """Return the same loss from all logits of every exit (LPLM: of every token, where it left) by `F.cross_entropy`."""
    labels = batch["labels"]
    losses: list[Tensor] = []

    def predict(states: Tensor) -> Tensor:
        logits = model.lm_head(states)
        losses.append(F.cross_entropy((logits + model.final_logits_bias).flatten(0, 1), labels.flatten()))
        return logits.argmax(-1)

    decoder = model.model.decoder
    layers = decoder.over_source(*model.encode(batch["input_ids"]))
    hidden = decoder.embed(model._canvas(*labels.shape))
    if "exit_layers" in batch:
        predict(leave_at(layers, hidden, batch["exit_layers"]))
    else:
        embed = partial(model._embed_prediction, labels=labels)
        predict(leave_soft(layers, hidden, predict, embed, model.concat_head).finish(layers[-1]))
    return torch.stack(losses).mean()


def measure(
    name: str, model: ElmerForConditionalGeneration, batch: Batch, rounds: int, device: torch.device
) -> dict[str, Any]:
    """Time both kinds of step, taking turns, then each one's memory and the largest difference of their gradients."""

    def step(loss: Callable[[ElmerForConditionalGeneration, Batch], Tensor]) -> None:
        model.zero_grad()
        torch.manual_seed(0)  # the same gold tokens are mixed in
        loss(model, batch).backward()

    ways = {"plain": plain_loss, "ours": our_loss}
    times: dict[str, list[float]] = {way: [] for way in ways}
    gradients = {}
    for turn in tqdm(range(rounds + 1), desc=name, disable=None):
        for way, loss in ways.items():
            seconds = seconds_of(partial(step, loss), device)
            if turn:  # the first turn warms up
                times[way].append(seconds)
    row: dict[str, Any] = {"name": name}
    for way, loss in ways.items():
        model.zero_grad()
        row[f"{way}_megabytes"] = peak_megabytes(partial(step, loss), device)
        gradients[way] = {key: value.grad.clone() for key, value in model.named_parameters() if value.grad is not None}
        row[f"{way}_seconds"] = statistics.median(times[way])
    row["gradient_difference"] = difference(gradients["ours"], gradients["plain"])
    return row


def difference(ours: Batch, plain: Batch) -> float:
    """Return the largest difference of a parameter's gradients relative to their norm.

    Gradients that are zero but for rounding, as those of the keys' biases are, have no relative difference.
    """
    largest = max(value.norm() for value in plain.values())
    norms = {key: value.norm() for key, value in plain.items() if value.norm() > 1e-5 * largest}
    return max(float((ours[key] - plain[key]).norm() / norm) for key, norm in norms.items())


def markdown(rows: list[dict[str, Any]], settings: dict[str, Any]) -> str:
    """Return the table."""
    lines = [
        f"Batches of {settings['batch_size']} x {settings['target']} target and {settings['source']} source tokens; "
        "memory is what a step needs beyond the weights, gradients included.",
        "",
        "| step | plain, MB | ours, MB | ratio | plain, s | ours, s | ratio | gradients' largest relative difference |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        cells = [row["name"]]
        for unit, digits in (("megabytes", 0), ("seconds", 2)):
            plain, ours = row[f"plain_{unit}"], row[f"ours_{unit}"]
            cells += [f"{plain:,.{digits}f}", f"{ours:,.{digits}f}", f"{ours / plain:.2f}"]
        lines.append(f"| {' | '.join(cells)} | {row['gradient_difference']:.1e} |")
    return "\n".join(lines)
