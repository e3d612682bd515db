"""Batches for models that go on with the source: what they learn, and what generation begins with."""

import torch

from textbox_elmer.runtime.data import CausalCollator
from textbox_elmer.runtime.data.collators import prompts

PAD = 9
EXAMPLES = [{"source_ids": [5, 6, PAD], "target_ids": [7, PAD]}, {"source_ids": [8], "target_ids": [4, 3, PAD]}]


def test_the_target_alone_is_learnt() -> None:
    """Padding may be the token that ends a text, as GPT-2's is: only its place tells them apart."""
    batch = CausalCollator(PAD)(EXAMPLES)
    assert batch["input_ids"].tolist() == [[5, 6, PAD, 7, PAD], [8, 4, 3, PAD, PAD]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]]
    assert batch["labels"].tolist() == [[-100, -100, -100, 7, PAD], [-100, 4, 3, PAD, -100]]
    assert {tensor.dtype for tensor in batch.values()} == {torch.int64}


def test_generation_begins_with_sources_padded_on_the_left() -> None:
    ids, mask = prompts(CausalCollator(PAD)(EXAMPLES), PAD)
    assert ids.tolist() == [[5, 6, PAD], [PAD, PAD, 8]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]
