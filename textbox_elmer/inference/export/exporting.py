"""The steps from a checkpoint to a checked folder of ONNX files."""

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from textbox_elmer.errors import UserError
from textbox_elmer.inference.export.check import (
    Comparison,
    Sources,
    compare,
    dataset_sources,
    decodings,
    made_up_sources,
)
from textbox_elmer.inference.export.checkpoint import load_checkpoint
from textbox_elmer.inference.export.files import check_replaceable, graph_name, staged, write_manifest
from textbox_elmer.inference.export.graph import write_graph, write_int8
from textbox_elmer.inference.export.requirements import PACKAGES, check_packages
from textbox_elmer.inference.export.session import OnnxElmer
from textbox_elmer.model import ElmerForConditionalGeneration
from textbox_elmer.model.finite import NoNumbersError
from textbox_elmer.runtime.catalogue.datasets import APIDOC
from textbox_elmer.runtime.runs.logs import log_to_console
from textbox_elmer.terminal import say


def export(
    model_path: Path,
    out: Path,
    canvases: Sequence[int],
    int8: bool,
    exit_mode: str | None,
    tokenizer_path: str | None,
    dataset: str | None,
    data_path: str,
) -> None:
    """Export, check, and only then put the folder into place; say on stdout what the check found.

    Args:
        model_path: the checkpoint's folder.
        out: where the export goes.
        canvases: most tokens of a text, one graph each, whose canvas has `config.canvas_positions` of them; none given:
            as many as the model was trained with.
        int8: whether each graph gets an int8 version beside it.
        exit_mode: "soft" or "last"; None: the checkpoint's own.
        tokenizer_path: None: the checkpoint's folder.
        dataset: whose test examples the check reads; None: `apidoc` where it is, else random ids.
        data_path: the folder of datasets.

    Raises:
        UserError: whatever the user can put right, or a graph that does not write the model's texts.
    """
    check_packages()
    log_to_console("warning")
    check_replaceable(out)
    model, tokenizer = load_checkpoint(model_path, exit_mode, tokenizer_path)
    positions = model.config.max_position_embeddings
    canvases = canvases or (model.config.canvas_length,)
    if model.config.canvas_positions(max(canvases)) > positions:
        scale = model.config.canvas_scale
        times = "" if scale == 1 else f", of which each token takes {scale}"
        raise UserError(
            f"--canvas={max(canvases)} is more than the model's {positions} positions (max_position_embeddings)"
            f"{times}: give --canvas={int(positions / scale)} or less."
        )
    sources = _sources(dataset, data_path, model, tokenizer)
    with staged(out) as folder:
        model.config.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        checks: dict[str, Comparison] = {}
        for canvas in canvases:
            checks |= _export_canvas(model, canvas, int8, folder, sources)
        facts = {
            "model_path": str(model_path),
            "exit_mode": model.config.exit_mode,
            "checked_on": sources.origin,
            "decodings": [way for way in decodings(model.config) if way is not None],
            "checks": {name: asdict(found) for name, found in checks.items()},
            "versions": {name: version(name) for name in ("torch", *PACKAGES)},
        }
        write_manifest(folder, facts)
    say(f"The export is in {out}")


def _sources(
    dataset: str | None, data_path: str, model: ElmerForConditionalGeneration, tokenizer: PreTrainedTokenizerBase
) -> Sources:
    positions = model.config.max_position_embeddings
    if dataset is None and (Path(data_path) / APIDOC).is_dir():
        dataset = APIDOC
    if dataset is None:
        say("There is no dataset apidoc here: checking on made-up sources (give --dataset=… for real ones).")
        return made_up_sources(model.config.vocab_size, positions)
    return dataset_sources(dataset, data_path, tokenizer, positions)


def _export_canvas(
    model: ElmerForConditionalGeneration, canvas: int, int8: bool, folder: Path, sources: Sources
) -> dict[str, Comparison]:
    """Write one canvas's files and check them; return what each file's check found."""
    plain = folder / graph_name(canvas)
    write_graph(model, canvas, plain)
    found = {plain.name: _check(model, OnnxElmer(folder, canvas), plain, sources)}
    if others := found[plain.name].examples - found[plain.name].same:
        raise UserError(
            f"{plain.name} writes {others} of {len(sources.rows)} texts otherwise than PyTorch does, so nothing is "
            "exported: try other versions of torch and onnxruntime, and report it."
        )
    if int8:
        quantized = folder / graph_name(canvas, int8=True)
        write_int8(plain, quantized)
        found[quantized.name] = _check(model, OnnxElmer(folder, canvas, int8=True), quantized, sources)
    return found


def _check(model: ElmerForConditionalGeneration, exported: OnnxElmer, path: Path, sources: Sources) -> Comparison:
    try:
        found = compare(model, exported, sources)
    except NoNumbersError as error:
        raise UserError(f"{str(error).removesuffix('.')}: its training has diverged, export another.") from error
    ways = [way for way in decodings(model.config) if way is not None]
    under = f" under {', '.join(ways)}" if ways else ""
    say(
        f"{path.name} ({path.stat().st_size / 1e6:.1f} MB): {found.same} of {found.examples} texts are the same{under} "
        f"({sources.origin}; PyTorch writes {found.different} different ones)"
    )
    return found
