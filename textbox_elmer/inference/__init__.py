"""Trained models at work: texts in, texts out."""

from typing import TYPE_CHECKING

from textbox_elmer.lazy import lazily

if TYPE_CHECKING:
    from textbox_elmer.inference.writer import Answer, TextWriter, load_writer

__all__ = ["Answer", "TextWriter", "load_writer"]
__getattr__, __dir__ = lazily(__name__, dict.fromkeys(__all__, "textbox_elmer.inference.writer"))
