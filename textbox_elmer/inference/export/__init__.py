"""Export to ONNX: one static graph per canvas, and what runs such a graph. Needs `textbox-elmer[export]`."""

from textbox_elmer.inference.export.session import OnnxElmer

__all__ = ["OnnxElmer"]
