"""What hard exit loses in quality and saves in the decoder's time, over thresholds, beside last and soft exit."""

import io
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from tqdm import tqdm

from textbox_elmer.bench.timing import hardware, seconds_of
from textbox_elmer.files import write_atomically
from textbox_elmer.metrics import evaluate
from textbox_elmer.reports.compare.plot import check_matplotlib
from textbox_elmer.runtime.data import find_dataset, load_split
from textbox_elmer.runtime.find_trained import locate
from textbox_elmer.runtime.hard_exit import fit
from textbox_elmer.runtime.trained import TrainedModel, load_trained
from textbox_elmer.text.decoding import decode_texts

THRESHOLDS = {
    "entropy": (0.03, 0.1, 0.3, 0.6, 1.0, 1.5, 2.0, 3.0),
    "saturation": (0.99, 0.97, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6),
    "classifier": (0.99, 0.97, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5),
}
# What the curve is judged by: the least loss among those that take no more than this share of the last exit's time.
SHARE, LOSS = 0.8, 0.3
SCORED = {"metrics": ["rouge"], "lower_evaluation": True}
INCHES = (6.4, 3.6)
GREY = "#808080"
COLOURS = {"last": GREY, "soft": "#4c6fd1", "entropy": "#d9731a", "saturation": "#2f9e6e", "classifier": "#b0428c"}


def main(settings: dict[str, Any]) -> None:
    """Print a table for one trained ELMER on a dataset's first test examples; write it as JSON and draw it.

    Args:
        settings: the options of `bench exits`, as its --help lists them.

    Raises:
        UserError: a missing checkpoint or dataset, a checkpoint that is no ELMER's, no matplotlib.
    """
    check_matplotlib()
    folder = find_dataset(settings["data_path"], settings["dataset"])
    split = load_split(folder, "test", settings["examples"])
    # All criteria on the same weights: a checkpoint without a classifier gets one here.
    fields = {"exit_mode": "last", "exit_criterion": "classifier", "exit_threshold": None, "exit_target": None}
    config = locate(settings["model_path"]).config("ELMER", settings["dataset"], {}, fields)
    made = load_trained(config)
    classifier = made.elmer.exit_classifier
    if classifier is not None and not classifier.weight.any():
        fit(made, made.encode(load_split(folder, "train")))
    rows = measure(made, made.encode(split), settings["batch_size"], settings["rounds"])
    for row in rows:
        row["rouge-2"] = evaluate(row.pop("texts"), split.target, SCORED)["rouge-2"]
    layers = made.model.config.decoder_layers
    print(
        f"{len(split.source)} test examples of {settings['dataset']}, {layers} decoder layers, batches of "
        f"{settings['batch_size']}, {hardware(made.model.device)}; medians of {settings['rounds']} rounds.\n\n"
        f"{markdown(rows)}"
    )
    Path(settings["out"]).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(Path(settings["out"]), json.dumps({"settings": settings, "rows": rows}, indent=2))
    draw(rows, settings["dataset"], Path(settings["plot"]))


def ways() -> dict[tuple[str, float | None], dict[str, Any]]:
    """Return options of `generate` by exit and threshold."""
    found: dict[tuple[str, float | None], dict[str, Any]] = {
        (mode, None): {"exit_mode": mode} for mode in ("last", "soft")
    }
    for criterion, thresholds in THRESHOLDS.items():
        for threshold in thresholds:
            exits = {"exit_mode": "hard", "exit_criterion": criterion, "exit_threshold": threshold}
            found[criterion, threshold] = exits
    return found


def measure(made: TrainedModel, ids: Dataset, batch_size: int, rounds: int) -> list[dict[str, Any]]:
    """Write all texts in all ways, which take turns at every batch.

    Returns:
        a row per way: its exit and threshold, the texts, the mean exit layer (from 0), and the milliseconds of its
        decoder an example, which are those of writing beyond the encoder's.
    """
    generate: Any = made.elmer.generate
    written = {way: Written() for way in ways()}
    for start in tqdm(range(0, len(ids), batch_size), desc="write", disable=None):
        sources, mask = made.sources(ids, range(start, min(start + batch_size, len(ids))))
        usual = {"max_length": made.config["tgt_len"], **(made.config["generation_kwargs"] or {})}
        calls = {
            way: partial(generate, sources, mask, return_dict_in_generate=True, **usual, **exits)
            for way, exits in ways().items()
        }
        for way, call in calls.items():  # which warms up, too
            output = call()
            written[way].texts += decode_texts(made.tokenizer, output.sequences.tolist())
            written[way].layers += output.exit_layers[output.exit_layers >= 0].tolist()
        times: dict[Any, list[float]] = {way: [] for way in calls}
        encode = torch.no_grad()(partial(made.elmer.encode, sources, mask))
        for _ in range(rounds):
            encoder = seconds_of(encode, made.model.device)
            for way, call in calls.items():
                times[way].append(seconds_of(call, made.model.device) - encoder)
        for way, spent in times.items():
            written[way].seconds += statistics.median(spent)
    return [
        {
            "exit": name,
            "threshold": threshold,
            "texts": found.texts,
            "mean_exit_layer": statistics.fmean(found.layers),
            "decoder_ms": 1000 * found.seconds / len(ids),
        }
        for (name, threshold), found in written.items()
    ]


@dataclass
class Written:
    """What one way has written: its texts, each token's exit layer, and what the decoder took in all."""

    texts: list[str] = field(default_factory=list)
    layers: list[int] = field(default_factory=list)
    seconds: float = 0.0


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Return the table, and for each criterion how little it loses where it saves enough."""
    last = rows[0]
    lines = [
        "| exit | threshold | mean exit layer (from 0) | decoder, ms per example | / last | ROUGE-2 | - last |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        threshold = "-" if row["threshold"] is None else f"{row['threshold']:g}"
        cells = [row["exit"], threshold, f"{row['mean_exit_layer']:.2f}", f"{row['decoder_ms']:.2f}"]
        cells += [f"{row['decoder_ms'] / last['decoder_ms']:.2f}", f"{row['rouge-2']:.2f}"]
        lines.append(f"| {' | '.join(cells)} | {row['rouge-2'] - last['rouge-2']:+.2f} |")
    return "\n".join([*lines, "", *(verdict(criterion, rows) for criterion in THRESHOLDS)])


def verdict(criterion: str, rows: Sequence[dict[str, Any]]) -> str:
    """Return a line about the best of a criterion's thresholds among those that save enough."""
    last, bar = rows[0], f"bar: at most {LOSS}"
    quick = [row for row in rows if row["exit"] == criterion and row["decoder_ms"] <= SHARE * last["decoder_ms"]]
    if not quick:
        return f"- {criterion}: no threshold takes at most {SHARE} of the last exit's decoder time ({bar} ROUGE-2 lost)"
    best = max(quick, key=lambda row: row["rouge-2"])
    lost = last["rouge-2"] - best["rouge-2"]
    return (
        f"- {criterion}: at most {SHARE} of the last exit's decoder time {'loses' if lost > 0 else 'gains'} "
        f"{abs(lost):.2f} ROUGE-2, at "
        f"{best['threshold']:g} ({bar})"
    )


def draw(rows: Sequence[dict[str, Any]], dataset: str, path: Path) -> None:
    """Draw ROUGE-2 over the decoder's time, a line a criterion, as an SVG whose words are words."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    style: dict[Any, Any] = dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), GREY
    )
    style |= {"svg.fonttype": "none", "svg.hashsalt": "", "font.size": 11, "legend.frameon": False}
    with rc_context(style):
        figure = Figure(figsize=INCHES, layout="constrained")
        axes = figure.add_subplot()
        for name, colour in COLOURS.items():
            points = sorted((row["decoder_ms"], row["rouge-2"]) for row in rows if row["exit"] == name)
            axes.plot(*zip(*points, strict=True), "o-", markersize=5, color=colour, label=name)
        axes.axvline(SHARE * rows[0]["decoder_ms"], linestyle=":", color=GREY)
        axes.set_xlabel("decoder, ms per text (less is better)")
        axes.set_ylabel(f"ROUGE-2 on {dataset}")
        axes.grid(True, alpha=0.25, color=GREY)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend()
        drawn = io.BytesIO()
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, drawn.getvalue())
