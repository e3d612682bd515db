"""Ids and batches equal TextBox's."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import ByT5Tokenizer, PreTrainedTokenizerBase

from textbox_elmer.errors import UserError
from textbox_elmer.runtime.data import (
    CanvasCollator,
    Seq2SeqCollator,
    Split,
    TextEncoder,
    encode_split,
    load_tokenizer,
    tokenization,
)

FIXTURES = Path(__file__).parents[2] / "fixtures" / "textbox"
CASES = json.loads((FIXTURES / "data.json").read_text())["tokenize"]
CONFIG = {"src_len": 12, "tgt_len": 8, "truncate": "tail"}


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return load_tokenizer(str(FIXTURES / "tokenizer"))


def split(source: list[str], target: list[Any]) -> Split:
    return Split("train", source, target)


@pytest.mark.parametrize("case", CASES, ids=[str(case["config"]) for case in CASES])
def test_reference_ids_and_batches(case: dict, tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    ids = encode_split(split(case["source"], case["target"]), tokenizer, case["config"], tmp_path)
    assert ids["source_ids"][:] == case["source_ids"]
    assert ids["target_ids"][:] == case["target_ids"]
    batch = Seq2SeqCollator(tokenizer.pad_token_id)(list(ids))
    assert batch["input_ids"].tolist() == case["batch_source_ids"]
    assert batch["attention_mask"].tolist() == case["batch_source_mask"]
    assert batch["labels"].tolist() == case["batch_target_ids"]
    assert {tensor.dtype for tensor in batch.values()} == {torch.int64}


def test_canvas_labels_have_one_length_and_no_bos(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    ids = encode_split(split(["one", "two"], ["My neighbour", "x"]), tokenizer, CONFIG, tmp_path)
    collator = CanvasCollator(tokenizer.pad_token_id, tokenizer.bos_token_id, canvas_length=8)
    batch = collator(list(ids))
    for row, target in zip(batch["labels"].tolist(), ids["target_ids"], strict=True):
        assert row == target[1:] + [-100] * (8 - len(target) + 1)
        assert target[0] == 0
    without_bos = collator([{"source_ids": [5], "target_ids": [6, 2]}])
    assert without_bos["labels"].tolist() == [[6, 2] + [-100] * 6]
    assert set(without_bos) == {"input_ids", "attention_mask", "labels"}
    with pytest.raises(ValueError, match="9 ids does not fit into 8"):
        collator([{"source_ids": [5], "target_ids": [6] * 9}])


def test_several_references_train_on_the_first(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    several = encode_split(split(["a", "b"], [["x", "y"], [""]]), tokenizer, CONFIG, tmp_path)
    single = encode_split(split(["a", "b"], ["x", ""]), tokenizer, CONFIG, tmp_path)
    assert several["target_ids"][:] == single["target_ids"][:]


def test_tokenizers_written_in_python_serve_too(tmp_path: Path) -> None:
    ids = encode_split(split(["ab", "abcdefghij"], ["c", "d"]), ByT5Tokenizer(), {"src_len": 5, "tgt_len": 5}, tmp_path)
    assert ids["source_ids"][:] == [[100, 101, 1], [100, 101, 102, 103, 1]]
    assert ids["target_ids"][:] == [[102, 1], [103, 1]]


def test_prompts_and_truncate_may_be_left_out(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    empty = CONFIG | {"truncate": None, "prefix_prompt": None, "suffix_prompt": None}
    data = split(["a text of many words, more than there is room for"], ["x"])
    ids = encode_split(data, tokenizer, {"src_len": 12, "tgt_len": 8}, tmp_path)
    assert list(encode_split(data, tokenizer, empty, tmp_path)) == list(ids)
    assert len(list(tmp_path.iterdir())) == 1, "one cache serves both"
    assert len(ids[0]["source_ids"]) == 12


def test_texts_in_several_batches_keep_their_order(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = split([f"text {n}" for n in range(7)], [f"title {n}" for n in range(7)])
    at_once = list(encode_split(data, tokenizer, CONFIG, tmp_path / "one"))
    monkeypatch.setattr(tokenization, "BATCH", 3)
    assert list(encode_split(data, tokenizer, CONFIG, tmp_path / "two")) == at_once


@pytest.mark.parametrize(("terminal", "texts", "shown"), [(True, 12, True), (True, 10, False), (False, 12, False)])
def test_a_bar_shows_on_a_terminal_for_many_texts(
    tokenizer: PreTrainedTokenizerBase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,
    texts: int,
    shown: bool,
) -> None:
    monkeypatch.setattr(tokenization, "LONG", 10)
    stderr = io.StringIO()
    stderr.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stderr", stderr)
    encode_split(split(["a"] * texts, ["x"] * texts), tokenizer, CONFIG, tmp_path)
    assert ("tokenize train" in stderr.getvalue()) == shown


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"src_len": 4, "prefix_prompt": "Summarize this for me: "}, "src_len=4 leaves no room .* prompts"),
        ({"src_len": 2}, "src_len=2 leaves no room"),
        ({"tgt_len": 2}, "tgt_len=2 leaves no room"),
        ({"truncate": "middle"}, "truncate must be one of tail, head, not 'middle'"),
    ],
)
def test_settings_that_cannot_be_met(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, config: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        encode_split(split(["a"], ["x"]), tokenizer, CONFIG | config, tmp_path)


def test_the_least_room_suffices(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    for truncate in ("tail", "head"):
        config = {"src_len": 3, "tgt_len": 3, "truncate": truncate}
        (row,) = encode_split(split(["one two three"], ["four five"]), tokenizer, config, tmp_path)
        assert (len(row["source_ids"]), len(row["target_ids"])) == (3, 3)


@pytest.mark.parametrize("truncate", ["tail", "head"])
def test_in_memory_as_on_disk(tokenizer: PreTrainedTokenizerBase, tmp_path: Path, truncate: str) -> None:
    """And it is told how many tokens were left out."""
    config = {"src_len": 6, "tgt_len": 4, "truncate": truncate, "prefix_prompt": "x"}
    data = split(["one", "one two three four five six"], ["seven", "eight nine ten eleven"])
    rows = list(encode_split(data, tokenizer, config, tmp_path))
    encoder = TextEncoder(tokenizer, config)
    sides = encoder.sources(data.source), encoder.targets(data.target)
    for side, column, room in zip(sides, ("source_ids", "target_ids"), (3, 2), strict=True):
        assert side.ids == [row[column] for row in rows]
        texts = data.source if column == "source_ids" else data.target
        bare = [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
        assert side.cut == [max(length - room, 0) for length in bare]
        assert side.cut[1] > 0
