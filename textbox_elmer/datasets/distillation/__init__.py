"""Sequence-level distillation: a dataset whose training targets are a trained model's texts."""
