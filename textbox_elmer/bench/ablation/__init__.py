"""What makes ELMER write: alignment, canvas, copying, exits and distillation beside BART, at equal steps."""

from textbox_elmer.bench.ablation.command import main

__all__ = ["main"]
