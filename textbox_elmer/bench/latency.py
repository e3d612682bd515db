"""How long a text takes: ELMER beside BART, in transformers and in CTranslate2, and beside the floor.

All models have the same sizes and random weights and write texts of the same lengths. The floor is what cannot be
avoided: the encoder once, the decoder once over the tokens that are really output, the head once over them.
"""

import copy
import gc
import json
import os
import platform
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm
from transformers import BartConfig, BartForConditionalGeneration

from textbox_elmer.bench import ctranslate2_bart, onnx_elmer
from textbox_elmer.bench.decoder_alone import decoder_alone
from textbox_elmer.bench.latency_graph import GraphRows
from textbox_elmer.bench.latency_table import ALONE, BEAMS, CACHES, COMPILED, PRECISIONS, compare, markdown
from textbox_elmer.bench.memory import peak_megabytes
from textbox_elmer.bench.planted_weights import THRESHOLDS, plant, plant_decisions
from textbox_elmer.bench.sizes import sizes_of
from textbox_elmer.bench.timing import hardware, seconds_of
from textbox_elmer.errors import UserError
from textbox_elmer.files import write_atomically
from textbox_elmer.inference.export import OnnxElmer
from textbox_elmer.inference.export.requirements import check_packages
from textbox_elmer.model import ElmerConfig, ElmerForConditionalGeneration
from textbox_elmer.model.canvas import lay_canvas

# Source tokens, canvas, output tokens.
SHAPES = {"xsum": (400, 64, 28), "squadqg": (170, 64, 14), "pc": (150, 64, 14), "cnndm": (800, 128, 66)}
# "static": "bart" once more with a static cache, whose steps transformers compiles on a GPU;
# "compiled": soft exit and dag's lookahead once more, by code that torch.compile makes;
# "plain": last and soft exit as they are written down, all logits and no packed weights; "dag": along paths of a graph;
# "onnx": last and soft exit once more, exported, on a CPU.
ROWS = ("bart", "static", "ctranslate2", "plain", "last", "soft", "hard", "dag", "compiled", "onnx")
# The word for the batch with the best throughput of soft exit, and how far it is looked for.
BEST, LARGEST_BATCH = "best", {"cpu": 64, "cuda": 1024}
WORTH = 1.03  # how much better a batch twice as large has to be
# onnxruntime keeps what a call needed for the next one, so that no later call can be seen to need anything.
KEEPS_MEMORY = "ONNX"
Call = Callable[[], object]


def main(settings: dict[str, Any]) -> None:
    """Print one table per shape and batch size, and write all of them as JSON.

    Args:
        settings: the options of `bench latency`, as its --help lists them; lists are separated by commas.

    Raises:
        UserError: an unknown shape, row or precision.
    """
    shapes, rows = listed(settings, "shapes", SHAPES), listed(settings, "rows", ROWS)
    precisions = listed(settings, "precisions", PRECISIONS)
    words = settings["batch_sizes"].split(",")
    batch_sizes = [None if word == BEST else _batch_size(word) for word in words]
    if "ctranslate2" in rows:
        ctranslate2_bart.check_installed()
    if "onnx" in rows:
        check_packages()
    device = torch.device(settings["device"])
    print(machine(device, settings))
    tables = [table for shape in shapes for table in _tables(settings, shape, rows, precisions, batch_sizes, device)]
    Path(settings["out"]).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(Path(settings["out"]), json.dumps({"settings": settings, "tables": tables}, indent=2))


def _tables(
    settings: dict[str, Any],
    shape: str,
    rows: Sequence[str],
    precisions: Sequence[str],
    batch_sizes: Sequence[int | None],
    device: torch.device,
) -> list[dict[str, Any]]:
    """Print and return one shape's tables. Its models, of some gigabytes, are gone when the next shape's are made."""
    models, tables = Models(settings, SHAPES[shape], device), []
    for size in batch_sizes:
        batch = models.best_batch(precisions[0]) if size is None else size
        measured = measure(models.calls(rows, precisions, batch), settings["rounds"], device, f"{shape} x {batch}")
        tables.append({"shape": shape, "batch": batch, "sizes": SHAPES[shape], "rows": compare(measured, batch)})
        print(f"\n{markdown(tables[-1])}", flush=True)
        gc.collect()
    return tables


def listed(settings: dict[str, Any], name: str, known: Sequence[str] | dict[str, Any]) -> list[str]:
    """Return the words of a comma-separated option.

    Raises:
        UserError: one of them is unknown.
    """
    words = settings[name].split(",")
    for word in words:
        if word not in known:
            raise UserError(f"The option --{name} knows {', '.join(known)}, not {word!r}.")
    return words


def _batch_size(word: str) -> int:
    if not (word.isascii() and word.isdigit() and int(word)):
        raise UserError(f"--batch_sizes must be whole numbers above 0, or {BEST}, not {word!r}.")
    return int(word)


class Models:
    """One shape's models and sources."""

    def __init__(self, settings: dict[str, Any], shape: tuple[int, int, int], device: torch.device) -> None:
        self.source, self.canvas, self.output = shape
        self.device = device
        sizes = sizes_of(settings) | {"vocab_size": settings["vocab_size"]}
        torch.manual_seed(0)
        self.bart = BartForConditionalGeneration(BartConfig(**sizes)).eval().to(device)
        self.elmer = ElmerForConditionalGeneration(ElmerConfig(**sizes)).eval()
        plant(self.elmer, self.output, self.canvas)
        self.elmer.to(device)
        self.sizes = sizes
        self.graph: GraphRows | None = None
        self.exported: dict[str, dict[str, OnnxElmer]] = {}

    def calls(self, rows: Sequence[str], precisions: Sequence[str], batch: int) -> dict[tuple[str, str], Call]:
        """Return what each row of the table runs, by name and precision."""
        ids = torch.randint(5, self.bart.config.vocab_size, (batch, self.source), device=self.device)
        calls: dict[tuple[str, str], Call] = {}
        for precision in precisions:
            if "bart" in rows:
                bart = copy.deepcopy(self.bart).to(getattr(torch, precision))
                for cache, options in self._caches(rows).items():
                    for name, beams in (("BART greedy", 1), (f"BART {BEAMS} beams", BEAMS)):
                        write = partial(write_with_bart, bart, ids, beams, self.output, **options)
                        calls[f"{name}{cache}", precision] = write
            elmer = copy.deepcopy(self.elmer).to(getattr(torch, precision))
            preparation = elmer.prepare_for_inference()
            encode = torch.no_grad()(partial(elmer.encode, ids))
            calls["encoder", precision] = encode
            calls["floor", precision] = partial(floor, elmer, ids, self.output)
            if precision == "float32" and self.device.type == "cpu":
                applied = preparation.applied()
                calls["encoder, packed", precision] = applied(encode)
                calls["floor, packed", precision] = applied(partial(floor, elmer, ids, self.output))
            for mode in ("last", "soft"):
                if mode not in rows:
                    continue
                if "plain" in rows:
                    calls[f"ELMER {mode}, plain", precision] = partial(write_plainly, elmer, ids, self.canvas, mode)
                whole = partial(elmer.generate, ids, max_length=self.canvas, exit_mode=mode)
                calls[f"ELMER {mode}", precision] = partial(self._checked, whole)
                if "hard" in rows:
                    alone = decoder_alone(elmer, ids, whole)
                    calls[f"ELMER {mode}{ALONE}", precision] = partial(self._checked, alone)
                if mode == "soft" and "compiled" in rows:
                    twin = copy.deepcopy(elmer)
                    twin.prepare_for_inference(compiled=True)
                    whole = partial(twin.generate, ids, max_length=self.canvas, exit_mode=mode)
                    calls[f"ELMER soft{COMPILED}", precision] = partial(self._checked, whole)
            if "hard" in rows:
                hard = partial(elmer.generate, ids, max_length=self.canvas, exit_mode="hard")
                calls["ELMER hard", precision] = partial(self._checked, hard)
                alone = decoder_alone(elmer, ids, hard)
                calls[f"ELMER hard{ALONE}", precision] = partial(self._checked, alone)
                calls |= self._hard(ids, precision)
            if "dag" in rows:
                self.graph = self.graph or GraphRows(self.sizes, self.output, BEAMS, self.device)
                by_name = self.graph.calls(ids, precision)
                if "compiled" in rows:
                    by_name[f"ELMER dag lookahead{COMPILED}"] = self.graph.compiled_lookahead(ids, precision)
                for name, call in by_name.items():
                    calls[name, precision] = partial(self._checked, call)
        if "onnx" in rows and self.device.type == "cpu":
            calls |= self._exported(rows, ids)
        if "ctranslate2" in rows:
            for precision in ("float32", "int8") if self.device.type == "cpu" else ("float16",):
                bart = ctranslate2_bart.load(self.bart, precision, self.device)
                for name, beams in (("CTranslate2 greedy", 1), (f"CTranslate2 {BEAMS} beams", BEAMS)):
                    calls[name, precision] = partial(bart, ids, beams, self.output)
        return calls

    def _caches(self, rows: Sequence[str]) -> dict[str, dict[str, Any]]:
        if "static" not in rows:
            return {"": {}}
        return {cache: options for cache, options in CACHES.items() if cache != COMPILED or self.device.type == "cuda"}

    def _hard(self, ids: torch.Tensor, precision: str) -> dict[tuple[str, str], Call]:
        """Return the rows of hard exit that decides without the vocabulary, the mean exit at half depth."""
        half = self.elmer.config.decoder_layers // 2
        calls: dict[tuple[str, str], Call] = {}
        for spread, exits in {"": range(2 * half), ", half depth": (half - 1, half)}.items():
            torch.manual_seed(0)
            model = ElmerForConditionalGeneration(ElmerConfig(**self.sizes, exit_criterion="classifier")).eval()
            plant_decisions(model, self.output, self.canvas, exits)
            model.to(self.device, getattr(torch, precision)).prepare_for_inference()
            # Words of random weights may repeat, which is no reason to write fewer of them.
            write = partial(model.generate, ids, max_length=self.canvas, exit_mode="hard", collapse_repeats=False)
            for criterion, threshold in THRESHOLDS.items():
                call = partial(write, exit_criterion=criterion, exit_threshold=threshold)
                name = f"ELMER hard, {criterion}{spread}"
                calls[name, precision] = partial(self._checked, call)
                alone = decoder_alone(model, ids, call)
                calls[f"{name}{ALONE}", precision] = partial(self._checked, alone)
        return calls

    def best_batch(self, precision: str) -> int:
        """Double the batch as long as soft exit writes more examples a second."""
        elmer = copy.deepcopy(self.elmer).to(getattr(torch, precision))
        elmer.prepare_for_inference()
        best, best_rate = 1, 0.0
        for power in range(LARGEST_BATCH[self.device.type].bit_length()):
            batch = 2**power
            ids = torch.randint(5, elmer.config.vocab_size, (batch, self.source), device=self.device)
            call = partial(elmer.generate, ids, max_length=self.canvas, exit_mode="soft")
            row = measure({("soft", precision): call}, 2, self.device, f"batch {batch}", with_memory=False)[0]
            if batch / row["seconds"] < WORTH * best_rate:
                break
            best, best_rate = batch, batch / row["seconds"]
        return best

    def _exported(self, rows: Sequence[str], ids: torch.Tensor) -> dict[tuple[str, str], Call]:
        calls: dict[tuple[str, str], Call] = {}
        for mode in onnx_elmer.MODES:
            if mode not in rows:
                continue
            if mode not in self.exported:  # once for all batch sizes
                self.exported[mode] = onnx_elmer.load(self.elmer, mode, self.canvas)
            for precision, exported in self.exported[mode].items():
                call = partial(exported.generate, ids)
                # Planting is made for exact products; the graph's work is the same wherever an int8 text ends.
                calls[f"ELMER {mode}, ONNX", precision] = call if precision == "int8" else partial(self._checked, call)
        return calls

    def _checked(self, call: Callable[[], torch.Tensor]) -> None:
        ends = (call() == self.elmer.config.eos_token_id).int().argmax(-1)
        if (ends + 1).unique().tolist() != [self.output]:
            raise AssertionError(f"planted texts end after {self.output} tokens, but these after {ends + 1}")


@torch.no_grad()
def write_with_bart(
    bart: BartForConditionalGeneration, ids: torch.Tensor, beams: int, length: int, **options: Any
) -> None:
    """Write `length` tokens for sources `[batch, source_length]`, under further options of `generate`."""
    options |= {"min_new_tokens": length, "max_new_tokens": length, "num_beams": beams, "do_sample": False}
    bart.generate(ids, attention_mask=torch.ones_like(ids), **options)  # type: ignore[misc]


@torch.no_grad()
def write_plainly(elmer: ElmerForConditionalGeneration, ids: torch.Tensor, canvas: int, mode: str) -> torch.Tensor:
    """Predict `[batch, canvas]` tokens from all logits, nothing left out."""
    elmer.config.update({"exit_mode": mode})
    positions = lay_canvas(len(ids), canvas, elmer.config.bos_token_id, elmer.config.mask_token_id, ids.device)
    return elmer(ids, decoder_input_ids=positions).logits.argmax(-1)


@torch.no_grad()
def floor(elmer: ElmerForConditionalGeneration, ids: torch.Tensor, length: int) -> None:
    """Run the encoder once, the decoder once over `length` positions, and the head once over them."""
    states, mask = elmer.encode(ids)
    decoder = elmer.model.decoder
    hidden = decoder.embed(torch.full((len(ids), length), elmer.config.mask_token_id, device=ids.device))
    for layer in decoder.over_source(states, mask):
        hidden = layer(hidden)
    elmer.lm_head(hidden).argmax(-1)


def measure(
    calls: dict[tuple[str, str], Call], rounds: int, device: torch.device, name: str, with_memory: bool = True
) -> list[dict[str, Any]]:
    """Time all calls, taking turns, and then each one's memory.

    Returns:
        a row per call: its name and precision, the median seconds of a call, its peak memory in MB (None: unknown).
    """
    times: dict[tuple[str, str], list[float]] = {key: [] for key in calls}
    for turn in tqdm(range(rounds + 1), desc=name, disable=None):
        for key, call in calls.items():
            seconds = seconds_of(call, device)
            if turn:  # the first turn warms up
                times[key].append(seconds)
    return [
        {
            "name": key[0],
            "precision": key[1],
            "seconds": statistics.median(times[key]),
            "megabytes": None if key[0].endswith(KEEPS_MEMORY) or not with_memory else peak_megabytes(call, device),
        }
        for key, call in calls.items()
    ]


def machine(device: torch.device, settings: dict[str, Any]) -> str:
    """Say what all tables were measured on."""
    return (
        f"{settings['layers']}+{settings['layers']} layers, width {settings['d_model']}, vocabulary "
        f"{settings['vocab_size']}, random weights; {platform.machine()}, {os.cpu_count()} cores, {hardware(device)}, "
        f"torch {torch.__version__}; medians of {settings['rounds']} rounds, the rows taking turns."
    )
