"""Trained models at work: texts in, texts out."""

from textbox_elmer.inference.writer import Answer, TextWriter, load_writer

__all__ = ["Answer", "TextWriter", "load_writer"]
