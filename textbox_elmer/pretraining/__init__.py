"""Pre-training: text corruption and layer permutation, as a data collator."""

from .collator import PretrainingCollator

__all__ = ["PretrainingCollator"]
