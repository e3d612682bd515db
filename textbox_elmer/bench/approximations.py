"""What approximations do to texts: how many stay the same, what ROUGE makes of the others, and the time they save."""

import copy
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from textbox_elmer.bench import onnx_elmer
from textbox_elmer.errors import UserError
from textbox_elmer.files import write_atomically
from textbox_elmer.inference.export.check import dataset_sources
from textbox_elmer.inference.export.checkpoint import STATIC_MODES, load_checkpoint
from textbox_elmer.inference.export.requirements import check_packages
from textbox_elmer.model import ElmerForConditionalGeneration
from textbox_elmer.runtime import evaluate
from textbox_elmer.runtime.data import find_dataset, load_split
from textbox_elmer.runtime.data.collators import pad
from textbox_elmer.text.decoding import decode_texts

# From this share of the same texts on, an approximation might be on by default.
BAR = 0.995
MODES = ("soft", "hard", "last")
EXACT = "float32, exact"
ROUGE = ("rouge-1", "rouge-2", "rouge-l")
Write = Callable[[Tensor, Tensor], Any]


def main(settings: dict[str, Any]) -> None:
    """Print a table for one trained checkpoint on a dataset's first test examples, and write it as JSON.

    Args:
        settings: the options of `bench approximations`, as its --help lists them.

    Raises:
        UserError: a missing checkpoint or dataset, a value that an option does not take.
    """
    if settings["exit_mode"] not in ("", *MODES):
        raise UserError(f"The option --exit_mode is one of {', '.join(MODES)}, not {settings['exit_mode']!r}.")
    check_packages()
    split = load_split(find_dataset(settings["data_path"], settings["dataset"]), "test", settings["examples"])
    asked = settings["exit_mode"]
    # Hard exit is asked of `generate`: it is loaded as what a graph for int8 could be.
    model, tokenizer = load_checkpoint(Path(settings["model_path"]), "soft" if asked == "hard" else asked or None, None)
    exit_mode = asked or model.config.exit_mode
    positions = model.config.max_position_embeddings
    place = (settings["dataset"], settings["data_path"])
    rows = dataset_sources(*place, tokenizer, positions, settings["examples"]).rows
    ways = ways_of(model, exit_mode)
    ids, seconds = write_all(ways, rows, model.config.pad_token_id, settings["batch_size"])
    texts = {name: decode_texts(tokenizer, found) for name, found in ids.items()}
    table = [
        {
            "name": name,
            "same": sum(map(str.__eq__, texts[name], texts[EXACT])) / len(rows),
            "ms_per_example": 1000 * seconds[name] / len(rows),
            "rouge": evaluate(texts[name], split.target, {"metrics": ["rouge"]}),
        }
        for name in ways
    ]
    different = len(set(texts[EXACT]))
    examples = f"{len(rows)} test examples of {settings['dataset']}"
    print(f"{exit_mode} exit, {examples}, {different} different texts.")
    print(f"\n{markdown(table)}")
    Path(settings["out"]).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(Path(settings["out"]), json.dumps({"settings": settings, "rows": table}, indent=2))


def ways_of(model: ElmerForConditionalGeneration, exit_mode: str) -> dict[str, Write]:
    """Return what writes texts of at most the trained length, by the row's name: the exact way first."""
    rounded = copy.deepcopy(model).bfloat16()
    for each in (model, rounded):
        each.prepare_for_inference()
    ways: dict[str, Write] = {EXACT: partial(model.generate, exit_mode=exit_mode)}
    ways["bfloat16"] = partial(rounded.generate, exit_mode=exit_mode)
    if exit_mode in STATIC_MODES:
        ways["int8, ONNX"] = onnx_elmer.load(model, exit_mode, model.config.canvas_length)["int8"].generate
    return ways


def write_all(
    ways: dict[str, Write], rows: Sequence[Sequence[int]], padding: int, batch_size: int
) -> tuple[dict[str, list[list[int]]], dict[str, float]]:
    """Write every source's text in every way, the ways taking turns at each batch.

    Returns:
        each way's ids, and the seconds that it took in all.
    """
    ids: dict[str, list[list[int]]] = {name: [] for name in ways}
    seconds = dict.fromkeys(ways, 0.0)
    starts = range(0, len(rows), batch_size)
    for turn, start in enumerate(tqdm([0, *starts], desc="write", disable=None)):
        batch = rows[start : start + batch_size]
        sources, mask = pad(batch, padding), pad([[1] * len(row) for row in batch], 0)
        for name, write in ways.items():
            begun = time.perf_counter()
            written = write(sources, mask)
            if turn:  # the first batch warms up, and comes again
                seconds[name] += time.perf_counter() - begun
                ids[name] += written.tolist()
    return ids, seconds


def markdown(table: Sequence[dict[str, Any]]) -> str:
    """Return the table, with a verdict on each approximation."""
    lines = [
        f"| way | same text | at least {BAR:.1%} | {' | '.join(name.upper() for name in ROUGE)} | ms per example |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in table:
        scores = " | ".join(f"{row['rouge'][name]:.2f}" for name in ROUGE)
        verdict = "yes" if row["same"] >= BAR else "no"
        lines.append(f"| {row['name']} | {row['same']:.1%} | {verdict} | {scores} | {row['ms_per_example']:.2f} |")
    return "\n".join(lines)
