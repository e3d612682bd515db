"""Pre-training: text corruption and layer permutation, as a data collator."""

from .lplm_collator import PretrainingCollator

__all__ = ["PretrainingCollator"]
