"""Export to ONNX: one static graph per canvas, and what runs such a graph. Needs `textbox-elmer[export]`."""

from typing import TYPE_CHECKING

from textbox_elmer.lazy import lazily

if TYPE_CHECKING:
    from textbox_elmer.inference.export.session import OnnxElmer

__all__ = ["OnnxElmer"]
__getattr__, __dir__ = lazily(__name__, {"OnnxElmer": "textbox_elmer.inference.export.session"})
