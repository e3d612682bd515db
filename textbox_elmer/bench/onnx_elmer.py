"""ELMER exported to ONNX, under onnxruntime on a CPU."""

import copy
import tempfile
from pathlib import Path

from textbox_elmer.inference.export import OnnxElmer
from textbox_elmer.inference.export.files import graph_name
from textbox_elmer.inference.export.graph import write_graph, write_int8
from textbox_elmer.model import ElmerForConditionalGeneration

PRECISIONS = ("float32", "int8")
MODES = ("last", "soft")


def load(elmer: ElmerForConditionalGeneration, exit_mode: str, canvas: int) -> dict[str, OnnxElmer]:
    """Export a float32 model under an exit mode; return what runs its graph, by precision."""
    model = copy.deepcopy(elmer)
    model.config.update({"exit_mode": exit_mode})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model.config.save_pretrained(folder)
        write_graph(model, canvas, folder / graph_name(canvas))
        write_int8(folder / graph_name(canvas), folder / graph_name(canvas, int8=True))
        return {precision: OnnxElmer(folder, canvas, int8=precision == "int8") for precision in PRECISIONS}
