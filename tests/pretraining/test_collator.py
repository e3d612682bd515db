"""Batches of pre-training: what they hold, and that workers and batches change nothing in it."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader
from transformers import AutoTokenizer

from tests.conftest import FIXTURES
from textbox_elmer.pretraining import PretrainingCollator
from textbox_elmer.pretraining.encoding import encode_texts

TOKENIZER = AutoTokenizer.from_pretrained(FIXTURES / "textbox" / "tokenizer")
SPECIAL = set(TOKENIZER.all_special_ids)

bounded = settings(deadline=None, derandomize=True, max_examples=60)
words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
texts = st.lists(st.one_of(words, st.sampled_from(["The", "end.", "<mask>", "</s>", "Mr. Brown", "\n"])), max_size=60)
batches = st.lists(texts.map(" ".join), min_size=1, max_size=5)


def examples(batch: Sequence[str], epoch: int = 0, first: int = 0) -> list[dict[str, object]]:
    return [{"text": text, "index": first + number, "epoch": epoch} for number, text in enumerate(batch)]


def lplm(**changes: object) -> PretrainingCollator:
    return PretrainingCollator(TOKENIZER, **{"seed": 1, "canvas_positions": 1024, "exit_layers": 6} | changes)


@bounded
@given(batches, st.integers(0, 100))
def test_shapes_frames_and_targets(batch: list[str], epoch: int) -> None:
    collated = lplm(max_length=24)(examples(batch, epoch))
    expected = encode_texts(batch, TOKENIZER, 22)
    assert collated["input_ids"].shape == collated["attention_mask"].shape
    assert collated["input_ids"].shape[1] <= 24
    ends = np.cumsum(expected.lengths)
    for row in range(len(batch)):
        length = int(collated["attention_mask"][row].sum())
        source = collated["input_ids"][row].tolist()
        assert (source[0], source[length - 1]) == (TOKENIZER.bos_token_id, TOKENIZER.eos_token_id)
        assert set(source[length:]) <= {TOKENIZER.pad_token_id}
        assert not set(source[1 : length - 1]) & (SPECIAL - {TOKENIZER.mask_token_id})
        labels = [label for label in collated["labels"][row].tolist() if label != -100]
        body = expected.ids[ends[row] - expected.lengths[row] : ends[row]].tolist()
        assert labels == [*body, TOKENIZER.eos_token_id]
        if len(body) < 22:
            assert TOKENIZER.decode(body) == batch[row]
        canvas = int(collated["decoder_attention_mask"][row].sum())
        assert canvas % 32 == 0
        assert len(labels) < canvas <= len(labels) + 64
        assert collated["decoder_attention_mask"][row, :canvas].all()
    assert collated["exit_layers"].shape == collated["labels"].shape == collated["decoder_attention_mask"].shape


@bounded
@given(batches, st.integers(0, 1000))
def test_batch_mates_change_nothing(batch: list[str], first: int) -> None:
    collator = lplm(max_length=40)
    together = collator(examples(batch, 2, first))
    for row, example in enumerate(examples(batch, 2, first)):
        alone = collator([example])
        for name, tensor in alone.items():
            width = tensor.shape[1]
            assert torch.equal(tensor[0], together[name][row, :width]), name


def test_the_canvas_does_not_tell_where_the_text_ends() -> None:
    """The same text meets several canvases, and canvases of one length hold texts of many lengths."""
    batch = [" ".join(["word"] * (1 + number % 60)) for number in range(600)]
    collated = lplm()(examples(batch))
    lengths = (collated["labels"] != -100).sum(1)
    canvases = collated["decoder_attention_mask"].sum(1)
    assert len(set(canvases[lengths == 31].tolist())) > 1
    assert lengths[canvases == 64].unique().numel() > 15
    margins = canvases - lengths
    assert margins.min() >= 1


def test_canvases_end_at_the_models_positions() -> None:
    collated = lplm(max_length=60, canvas_positions=64)(examples([" ".join(["word"] * 100)]))
    assert collated["labels"].shape[1] == 64
    assert int((collated["labels"] != -100).sum()) == 59


def test_sources_keep_the_limit_even_when_masks_are_put_between_all_words() -> None:
    collator = lplm(max_length=24, poisson_lambda=0.05)
    batch = collator(examples(["The cat sat on the mat."] * 20))
    assert batch["input_ids"].shape[1] == 24
    assert (batch["input_ids"] == TOKENIZER.eos_token_id).sum(1).tolist() == [1] * 20


def test_a_model_that_writes_token_by_token_gets_whole_targets() -> None:
    collated = PretrainingCollator(TOKENIZER, 1)(examples(["The cat sat on the mat.", "A dog."]))
    assert set(collated) == {"input_ids", "attention_mask", "labels"}
    assert collated["labels"][:, 0].tolist() == [TOKENIZER.bos_token_id] * 2
    kept = collated["labels"][1][collated["labels"][1] != -100]
    assert TOKENIZER.decode(kept) == "<s>A dog.</s>"


def test_an_example_that_does_not_count_has_no_labels() -> None:
    collated = lplm()([{"text": "A dog.", "index": 0, "epoch": -1}, {"text": "A dog.", "index": 0, "epoch": 0}])
    assert (collated["labels"][0] == -100).all()
    assert (collated["labels"][1] != -100).any()


class Corpus(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 37

    def __getitem__(self, index: int) -> dict[str, object]:
        return {"text": f"Text number {index} has some words. " * 3, "index": index, "epoch": 4}


@pytest.mark.parametrize(("workers", "batch_size"), [(1, 4), (2, 4), (2, 9)])
def test_workers_and_batch_size_change_nothing(workers: int, batch_size: int) -> None:
    def rows(loader: DataLoader) -> list[dict[str, list[int]]]:
        found = []
        for batch in loader:
            for row in range(len(batch["input_ids"])):
                canvas = int(batch["decoder_attention_mask"][row].sum())
                source = int(batch["attention_mask"][row].sum())
                found.append({"input_ids": batch["input_ids"][row, :source].tolist()})
                found[-1] |= {name: batch[name][row, :canvas].tolist() for name in ("labels", "exit_layers")}
        return found

    expected = rows(DataLoader(Corpus(), 5, collate_fn=lplm()))
    assert rows(DataLoader(Corpus(), batch_size, collate_fn=lplm(), num_workers=workers)) == expected


def test_sentences_are_punkts() -> None:
    text = "Dr. Lee came. It rained! Did Mr. Brown see?"
    encoded = encode_texts([text], TOKENIZER, 100)
    starts = np.flatnonzero(encoded.sentence_starts)
    sentences = [TOKENIZER.decode(part).strip() for part in np.split(encoded.ids, starts[1:])]
    assert sentences == ["Dr. Lee came.", "It rained!", "Did Mr. Brown see?"]


def test_what_looks_like_a_special_token_in_a_text_is_text() -> None:
    encoded = encode_texts(["a <mask> b </s>"], TOKENIZER, 100)
    assert not SPECIAL & set(encoded.ids.tolist())
    assert TOKENIZER.decode(encoded.ids) == "a <mask> b </s>"
