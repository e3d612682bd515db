"""Ids and batches equal TextBox's; the cache is used, and never trusted when it is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from textbox_elmer.runtime.data import (
    CanvasCollator,
    Seq2SeqCollator,
    Split,
    encode_split,
    load_tokenizer,
    special_token_frame,
    train_tokenizer,
)
from textbox_elmer.runtime.errors import UserError

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


def test_several_references_train_on_the_first(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    several = encode_split(split(["a", "b"], [["x", "y"], []]), tokenizer, CONFIG, tmp_path)
    single = encode_split(split(["a", "b"], ["x", ""]), tokenizer, CONFIG, tmp_path)
    assert several["target_ids"][:] == single["target_ids"][:]


def framed_tokenizer(first: str, last: str) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "[CLS]": 1, "[SEP]": 2, "</s>": 3, "[UNK]": 4}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    specials = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(f"{first} $A {last}".strip(), special_tokens=specials)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[UNK]")


@pytest.mark.parametrize(
    ("first", "last", "frame"),
    [("[CLS]", "[SEP]", ([1], [2])), ("", "</s>", ([], [3])), ("", "", ([], [])), ("[CLS] [SEP]", "", ([1, 2], []))],
)
def test_frame_is_the_post_processors(first: str, last: str, frame: tuple) -> None:
    tokenizer = framed_tokenizer(first, last)
    assert special_token_frame(tokenizer) == frame
    assert special_token_frame(load_tokenizer(str(FIXTURES / "tokenizer"))) == ([0], [2])


class Counting:
    """Counts how often a tokenizer tokenizes."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer, self.texts = tokenizer, 0

    def __call__(self, texts: Any, **options: Any) -> Any:
        self.texts += len(texts) if isinstance(texts, list) else 0
        return self.tokenizer(texts, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tokenizer, name)


def test_a_split_is_tokenized_once(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    counting = Counting(tokenizer)
    data = split(["a b c", "d"], ["x", "y"])

    def texts_tokenized(data: Split, config: dict) -> int:
        before = counting.texts
        encode_split(data, counting, config, tmp_path)
        return counting.texts - before - 2  # less the two prompts

    assert texts_tokenized(data, CONFIG) == 4
    assert texts_tokenized(data, CONFIG) == 0
    assert texts_tokenized(data, CONFIG | {"seed": 5}) == 0
    for change in (
        {"src_len": 13},
        {"tgt_len": 9},
        {"truncate": "head"},
        {"prefix_prompt": "x"},
        {"suffix_prompt": "x"},
    ):
        assert texts_tokenized(data, CONFIG | change) == 4, change
    assert texts_tokenized(split(["a b c", "e"], ["x", "y"]), CONFIG) == 4
    assert encode_split(data, tokenizer, CONFIG, tmp_path).cache_files, "the ids are mapped from disk"


def test_a_damaged_cache_is_made_again(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    data = split(["a b c", "d"], ["x", "y"])
    expected = list(encode_split(data, tokenizer, CONFIG, tmp_path))
    (arrow,) = tmp_path.glob("ids-*/*.arrow")
    arrow.write_bytes(arrow.read_bytes()[:40])
    assert list(encode_split(data, tokenizer, CONFIG, tmp_path)) == expected
    assert not list(tmp_path.glob(".*")), "nothing is left half-written"


def test_a_cache_that_cannot_be_written_is_done_without(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ids = encode_split(split(["a"], ["x"]), tokenizer, CONFIG, tmp_path / "file" / "cache")
    assert len(ids) == 1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"src_len": 4, "prefix_prompt": "Summarize this for me: "}, "src_len=4 leaves no room .* prompts"),
        ({"src_len": 2}, "src_len=2 leaves no room"),
        ({"tgt_len": 2}, "tgt_len=2 leaves no room"),
    ],
)
def test_no_room_for_text(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, config: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        encode_split(split(["a"], ["x"]), tokenizer, CONFIG | config, tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.src").write_text("the cat sat on the mat\nthe dog sat on the log\n" * 20)
    (tmp_path / "train.tgt").write_text("'cat on\\nmat'\n['dog on log', 'log under dog']\n" * 20)
    return tmp_path


def test_trained_tokenizer(folder: Path, tmp_path: Path) -> None:
    tokenizer = train_tokenizer(folder, 300, tmp_path / "cache")
    tokens = [tokenizer.convert_ids_to_tokens(i) for i in range(5)]
    assert tokens == ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    assert (tokenizer.bos_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id) == (0, 1, 2)
    assert (tokenizer.unk_token_id, tokenizer.mask_token_id) == (3, 4)
    ids = tokenizer("the cat sat: ünï 你好")["input_ids"]
    assert (ids[0], ids[-1]) == (0, 2)
    assert tokenizer.decode(ids, skip_special_tokens=True) == "the cat sat: ünï 你好"
    assert len(tokenizer) <= 300
    assert len(tokenizer("the")["input_ids"]) == 3
    tokenizer.save_pretrained(tmp_path / "saved")
    again = AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert again("the cat <mask> sat")["input_ids"] == tokenizer("the cat <mask> sat")["input_ids"]
    assert 4 in again("the cat <mask> sat")["input_ids"]
    assert again.mask_token_id == 4


def test_training_is_deterministic_and_cached(folder: Path, tmp_path: Path) -> None:
    first = train_tokenizer(folder, 290, tmp_path / "one").backend_tokenizer.to_str()
    assert train_tokenizer(folder, 290, tmp_path / "two").backend_tokenizer.to_str() == first
    assert train_tokenizer(folder, 290, tmp_path / "one").backend_tokenizer.to_str() == first
    assert len(list((tmp_path / "one").iterdir())) == 1
    (folder / "train.src").write_text("other words\n" * 40)
    assert train_tokenizer(folder, 290, tmp_path / "one").backend_tokenizer.to_str() != first


def test_tokenizers_that_cannot_be_had(tmp_path: Path, folder: Path) -> None:
    for name in ("no-such/tokenizer", str(tmp_path / "nowhere"), str(tmp_path)):
        with pytest.raises(UserError, match="--tokenizer_path"):
            load_tokenizer(name)
    (tmp_path / "tokenizer.json").write_text("{")
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    with pytest.raises(UserError, match="No tokenizer can be read"):
        load_tokenizer(str(tmp_path))
    with pytest.raises(UserError, match="vocab_size is 100"):
        train_tokenizer(folder, 100, tmp_path / "cache")
