"""Training under the host: transformers' Trainer with TextBox's losses, schedules, selection and safe checkpoints."""

from textbox_elmer.runtime.training.trainer import HostTrainer

__all__ = ["HostTrainer"]
