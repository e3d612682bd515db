"""What is costly is made once; a cache is never trusted when it is wrong, nor needed."""

import os
import shutil
import stat
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import pytest
from transformers import PreTrainedTokenizerBase

from textbox_elmer.cache import cached, content_key
from textbox_elmer.runtime.data import Split, encode_split, load_split, load_tokenizer, train_tokenizer, training_texts

TOKENIZER = Path(__file__).parent / "fixtures" / "textbox" / "tokenizer"
CONFIG = {"src_len": 12, "tgt_len": 8, "truncate": "tail"}


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return load_tokenizer(str(TOKENIZER))


def split(source: list[str], target: list[Any]) -> Split:
    return Split("train", source, target)


class Counting:
    """Counts how often a tokenizer tokenizes."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer, self.texts = tokenizer, 0

    def __call__(self, text: Any, **options: Any) -> Any:
        self.texts += len(text) if isinstance(text, list) else 0
        return self.tokenizer(text, **options)

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


def test_another_tokenizer_does_not_find_the_ids_of_this_one(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    data = split(["a marvellous b"], ["x"])
    before = list(encode_split(data, tokenizer, CONFIG, tmp_path))
    other = load_tokenizer(str(TOKENIZER))
    other.add_tokens("marvellous")
    after = list(encode_split(data, other, CONFIG, tmp_path))
    assert other.convert_tokens_to_ids("marvellous") in after[0]["source_ids"]
    assert after != before
    assert list(encode_split(data, tokenizer, CONFIG, tmp_path)) == before


def test_the_default_cache_is_that_of_datasets(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    encode_split(split(["a"], ["x"]), tokenizer, CONFIG)
    assert list((tmp_path / "textbox_elmer").glob("ids-*"))


def test_keys_tell_contents_apart() -> None:
    contents = [(["a", "b"], ["c"]), (["a"], ["b", "c"]), (["a\nb"], ["c"]), (["ab"], ["c"]), ([["a", "b"]], ["c"])]
    contents += [([1, 2],), ([12],), (12, 3), (1, 23)]
    assert len({content_key(*parts) for parts in contents}) == len(contents)


def first_batch(path: Path) -> bytes:
    """Return the file up to the end of its first batch, which Arrow reads without complaint."""
    with pyarrow.memory_map(str(path)) as file:
        pyarrow.ipc.open_stream(file).read_next_batch()
        return path.read_bytes()[: file.tell()]


@pytest.mark.parametrize(
    "damaged",
    [lambda path: b"", lambda path: path.read_bytes()[:40], lambda path: path.read_bytes()[:-20], first_batch],
    ids=["empty", "no batch", "part of a batch", "one batch of two"],
)
def test_a_damaged_cache_is_made_again(tokenizer: PreTrainedTokenizerBase, tmp_path: Path, damaged: Any) -> None:
    data = split([f"a {n}" for n in range(1500)], ["x"] * 1500)
    expected = list(encode_split(data, tokenizer, CONFIG, tmp_path))
    (arrow,) = tmp_path.glob("ids-*/*.arrow")
    sound = arrow.read_bytes()
    arrow.write_bytes(damaged(arrow))
    assert arrow.stat().st_size < len(sound)
    assert list(encode_split(data, tokenizer, CONFIG, tmp_path)) == expected
    assert arrow.read_bytes() == sound
    assert not list(tmp_path.glob(".*")), "nothing is left half-written"


def test_a_cache_that_lost_a_file_is_made_again(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    data = split(["a b c"], ["x"])
    expected = list(encode_split(data, tokenizer, CONFIG, tmp_path))
    (folder,) = tmp_path.iterdir()
    for path in folder.iterdir():
        path.unlink()
        assert list(encode_split(data, tokenizer, CONFIG, tmp_path)) == expected


def test_a_damaged_tokenizer_is_trained_again(tmp_path: Path) -> None:
    (tmp_path / "train.src").write_text("the cat sat\n")
    (tmp_path / "train.tgt").write_text("the cat\n")
    texts = training_texts(load_split(tmp_path, "train"))
    sound = train_tokenizer(texts, 300, tmp_path / "cache").backend_tokenizer.to_str()
    (path,) = tmp_path.glob("cache/*/tokenizer.json")
    path.write_text(path.read_text()[:100])
    assert train_tokenizer(texts, 300, tmp_path / "cache").backend_tokenizer.to_str() == sound
    path.unlink()
    assert train_tokenizer(texts, 300, tmp_path / "cache").backend_tokenizer.to_str() == sound


def save(made: str, folder: Path) -> None:
    (folder / "text").write_text(made)


def load(folder: Path) -> str:
    return (folder / "text").read_text()


def test_a_killed_process_leaves_nothing_to_find(tmp_path: Path) -> None:
    def stopped(made: str, folder: Path) -> None:
        save(made[:3], folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached("it", tmp_path, lambda: "complete", stopped, load)
    assert not list(tmp_path.iterdir())
    assert cached("it", tmp_path, lambda: "complete", save, load) == "complete"
    assert cached("it", tmp_path, lambda: "made again", save, load) == "complete"


def test_of_two_processes_the_first_wins(tmp_path: Path) -> None:
    def overtaken(made: str, folder: Path) -> None:
        cached("it", tmp_path, lambda: "the other's", save, load)
        save(made, folder)

    assert cached("it", tmp_path, lambda: "mine", overtaken, load) == "the other's"
    assert [path.name for path in tmp_path.iterdir()] == ["it"]


def full_disk(made: str, folder: Path) -> None:
    save(made[:3], folder)
    raise Exception("No space left on device (os error 28)")


def not_permitted(*args: Any, **options: Any) -> None:
    raise PermissionError(13, "Permission denied")


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, our_log: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    assert cached("it", tmp_path / "file" / "cache", lambda: "made", save, load) == "made"
    assert cached("it", tmp_path / "full", lambda: "made", full_disk, load) == "made"
    assert not list((tmp_path / "full").iterdir())
    assert [record.levelname for record in our_log.records] == ["WARNING", "WARNING"]
    assert "No space left on device" in our_log.text


def test_a_damaged_cache_that_cannot_be_removed_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "it").mkdir()
    (tmp_path / "it" / "other").write_text("")
    monkeypatch.setattr(shutil, "rmtree", lambda *args, **options: None)
    assert cached("it", tmp_path, lambda: "made", save, load) == "made"


def test_a_cache_that_may_not_be_entered_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "stat", not_permitted)
    monkeypatch.setattr(os, "mkdir", not_permitted)
    assert cached("it", tmp_path, lambda: "made", save, load) == "made"


def test_others_may_read_the_cache_where_the_umask_lets_them(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        cached("it", tmp_path, lambda: "made", save, load)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "it").stat().st_mode) == 0o755
