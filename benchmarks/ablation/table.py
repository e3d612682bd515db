"""The ablation's table."""

import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import torch

COLUMNS = (
    "row",
    "alignment",
    "canvas input",
    "copying",
    "exit",
    "norms",
    "glancing",
    "distilled",
    "decoding",
    "valid ROUGE-2",
    "ROUGE-1",
    "ROUGE-2",
    "ROUGE-L",
    "distinct texts",
    "repeated words",
    "s a training step",
    "ms a text",
    "transition entropy, nats",
    "teacher: training + writing, s",
)


def markdown(rows: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> str:
    """Return the table of finished rows: a line for each way of writing, the one chosen on valid in bold."""
    width, layers = settings["d_model"], settings["layers"]
    lines = [
        f"{settings['dataset']}: {layers}+{layers} layers, width {width}, {settings['steps']:,} steps of "
        f"{settings['batch_size']} texts, seed {settings['seed']}; {platform.processor() or platform.machine()}, "
        f"{os.cpu_count()} cores, {settings['threads']} threads, torch {torch.__version__}. Scores are those of test "
        "where nothing else is said; **bold**: the decoding with the best ROUGE-2 on valid. A step's "
        "seconds are the median, a text's ms those of batches of 64.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"| {' | '.join('---' for _ in COLUMNS)} |",
    ]
    return "\n".join([*lines, *(line for row in rows for line in _lines(row))])


def _lines(row: Mapping[str, Any]) -> list[str]:
    parallel = row["alignment"] != "autoregressive"
    first = [
        row["key"],
        row["alignment"],
        row["canvas_input"] if parallel else "-",
        _yes(row["copies"]),
        row["exit_mode"] if parallel else "-",
        "before" if row["norms_first"] and parallel else "behind",
        _yes(row["glances"]) if parallel else "-",
        _yes(row["distilled"]),
    ]
    entropy, teacher = row["transition_entropy"], row["teacher_seconds"]
    last = [
        "-" if entropy is None else f"{entropy:.2f}",
        "-" if teacher is None else f"{teacher['training']:.0f} + {teacher['writing']:.0f}",
    ]
    lines = []
    for name, written in row["decodings"].items():
        test = written["test"]
        scores = [f"{written['valid']['rouge-2']:.2f}"]
        scores += [f"{test[metric]:.2f}" for metric in ("rouge-1", "rouge-2", "rouge-l")]
        variety = [f"{test['distinct']:,} of {test['texts']:,}", f"{test['repeated']:.1%}"]
        times = [f"{row['seconds_per_step']:.3f}", f"{written['ms_per_text']:.1f}"]
        shown = f"**{name}**" if name == row["chosen"] else name
        lines.append(f"| {' | '.join([*first, shown, *scores, *variety, *times, *last])} |")
    return lines


def _yes(value: bool) -> str:
    return "yes" if value else "no"
