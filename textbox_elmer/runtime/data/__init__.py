"""Data: reading a dataset's files, tokenizing them once, making batches."""

from textbox_elmer.runtime.data.collators import CanvasCollator, CausalCollator, Seq2SeqCollator, fine_tuning_collator
from textbox_elmer.runtime.data.folder import Split, find_dataset, load_split, quick_test_limit
from textbox_elmer.runtime.data.tokenization import Encoded, TextEncoder, encode_split, fingerprint
from textbox_elmer.runtime.data.tokenizer import load_tokenizer, train_tokenizer, training_texts

__all__ = [
    "CanvasCollator",
    "CausalCollator",
    "Encoded",
    "Seq2SeqCollator",
    "Split",
    "TextEncoder",
    "encode_split",
    "find_dataset",
    "fine_tuning_collator",
    "fingerprint",
    "load_split",
    "load_tokenizer",
    "quick_test_limit",
    "train_tokenizer",
    "training_texts",
]
