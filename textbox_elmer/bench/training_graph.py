"""What a training step with a graph costs: beside one token a position, and which share of it is the graph's own."""

import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from textbox_elmer.bench.memory import peak_megabytes
from textbox_elmer.bench.timing import seconds_of
from textbox_elmer.model import ElmerForConditionalGeneration
from textbox_elmer.model.alignment import GraphAlignment
from textbox_elmer.model.emissions import EmissionHead

# Vertices for each token; both models predict at the last layer alone, and read and copy the source alike.
CANVAS_SCALE = 4
SAME = {"exit_mode": "last", "canvas_input": "source", "copy_source": True}
POSITION, GRAPH = SAME, SAME | {"alignment": "dag", "canvas_scale": CANVAS_SCALE}
PARTS = ("recursion", "links", "gathered head")
Batch = dict[str, Tensor]
Built = tuple[ElmerForConditionalGeneration, Batch]


def measure_graph(build: Callable[[dict[str, Any]], Built], rounds: int, device: torch.device) -> dict[str, Any]:
    """Time steps with one token a position, steps with a graph and the graph's parts, taking turns; then their memory.

    Args:
        build: makes a model with given fields of its configuration, and a batch.
        rounds: that the medians are of.
        device: where they are run.

    Returns:
        seconds and MB of both steps, and the seconds of each part, forward and backward.
    """
    built = {"position": build(POSITION), "dag": build(GRAPH)}
    seconds: dict[str, list[float]] = {name: [] for name in (*built, *PARTS)}
    for turn in tqdm(range(rounds + 1), desc="graph", disable=None):
        times = {name: seconds_of(partial(_step, *run), device) for name, run in built.items()}
        times |= _parts(*built["dag"], device)
        for name, value in times.items() if turn else ():  # the first turn warms up
            seconds[name].append(value)
    found: dict[str, Any] = {"seconds": {name: statistics.median(values) for name, values in seconds.items()}}
    megabytes = found["megabytes"] = {}
    for name, (model, batch) in built.items():
        model.zero_grad()
        megabytes[name] = peak_megabytes(partial(_step, model, batch), device)
        model.zero_grad()
    return found


def markdown(found: dict[str, Any], settings: dict[str, Any]) -> str:
    """Return what was measured as lines for a document."""
    seconds, megabytes = found["seconds"], found["megabytes"]
    lines = [
        "Last exit, source input and copying, no glancing; the graph has "
        f"{CANVAS_SCALE * settings['target']} vertices.",
        "",
        "| step | s | MB |",
        "| --- | --- | --- |",
        *(f"| {name} | {seconds[name]:.2f} | {megabytes[name]:,.0f} |" for name in megabytes),
        "",
        f"- dag / position: {seconds['dag'] / seconds['position']:.2f} times the time, "
        f"{megabytes['dag'] / megabytes['position']:.2f} times the memory",
    ]
    for name in PARTS:
        share = seconds[name] / seconds["dag"]
        lines.append(f"- {name}, forward and backward: {1000 * seconds[name]:.1f} ms, {share:.3f} of the step")
    return "\n".join(lines)


def _step(model: ElmerForConditionalGeneration, batch: Batch) -> None:
    model.zero_grad()
    model(**batch, return_logits=False).loss.backward()


def _parts(model: ElmerForConditionalGeneration, batch: Batch, device: torch.device) -> dict[str, float]:
    """Time the loss's parts on a real batch's last states, each with the gradient that it gets in the step."""
    states, encoder_states = _last_states(model, batch)
    lengths = torch.full(states.shape[:1], states.shape[1], device=device)
    alignment = GraphAlignment(batch["labels"], lengths, model.config.eos_token_id)
    words = torch.ones_like(batch["input_ids"], dtype=torch.bool)
    links, pointer = model.links, model.pointer
    assert links is not None
    assert pointer is not None
    copying = pointer.over_source(batch["input_ids"], encoder_states, words)
    head = EmissionHead(
        model.lm_head.weight, model.final_logits_bias.squeeze(0), alignment.targets, copying, blank=None
    )
    times = dict.fromkeys(PARTS, 0.0)
    made: dict[str, Any] = {}

    def run(name: str, call: Callable[[], Any]) -> None:
        def keep() -> None:
            made[name] = call()

        times[name] += seconds_of(keep, device)

    run("links", lambda: links(states, model.model.decoder.embed_positions(states.shape[1]), lengths))
    run("gathered head", lambda: head.exit(states))
    transitions, exit_ = made["links"], head.exits[0]
    # Cut off from what made them, so that each part's backward pass is its own.
    leaves = [part.detach().requires_grad_() for part in (exit_.targets, transitions)]
    run("recursion", lambda: alignment.likelihood(exit_._replace(targets=leaves[0]), leaves[1], None)[0].sum())
    run("recursion", made["recursion"].backward)
    run("links", lambda: transitions.backward(leaves[1].grad))
    run("gathered head", lambda: exit_.targets.backward(leaves[0].grad))
    model.zero_grad()
    return times


def _last_states(model: ElmerForConditionalGeneration, batch: Batch) -> Sequence[Tensor]:
    """Return the states that the links get in a step, and the encoder's, as leaves that want gradients."""
    seen: list[Tensor] = []
    assert model.links is not None
    hook = model.links.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        output = model(**batch, return_logits=False)
    hook.remove()
    return [part.detach().requires_grad_() for part in (seen[0], output.encoder_last_hidden_state)]
