"""Tokenizers: trained on a dataset, or read from a folder, and never anything else of it."""

import json
import shutil
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from textbox_elmer.errors import UserError
from textbox_elmer.runtime.data import Split, encode_split, load_split, load_tokenizer, train_tokenizer, training_texts

TOKENIZER = Path(__file__).parents[2] / "fixtures" / "textbox" / "tokenizer"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.src").write_text("the cat sat on the mat\nthe dog sat on the log\n" * 20)
    (tmp_path / "train.tgt").write_text("'cat on\\nmat'\n['dog on log', 'log under dog']\n" * 20)
    return tmp_path


def texts_of(folder: Path) -> list[str]:
    return training_texts(load_split(folder, "train"))


def test_trained_tokenizer(folder: Path, tmp_path: Path) -> None:
    tokenizer = train_tokenizer(texts_of(folder), 300, tmp_path / "cache")
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
    assert (again.bos_token_id, again.pad_token_id, again.eos_token_id, again.mask_token_id) == (0, 1, 2, 4)


def test_trained_tokenizer_treats_blanks_as_barts(folder: Path, tmp_path: Path) -> None:
    """The same pieces come out of a blank before a word or a mask as from TextBox's BART tokenizer."""
    trained, bart = (
        train_tokenizer(texts_of(folder), 300, tmp_path / "cache"),
        load_tokenizer(str(TOKENIZER)),
    )
    for text in ("cat", " cat", "a <mask> b", "a<mask>b", "a  <mask>", "x\ny", "don't", "<s> in text", ""):
        pieces, expected = [t.tokenize(text, add_special_tokens=True) for t in (trained, bart)]
        assert "".join(pieces) == "".join(expected), text


@pytest.mark.parametrize("model_type", ["bart", "elmer", "t5"])
def test_trained_tokenizer_comes_back_beside_a_models_configuration(
    folder: Path, tmp_path: Path, model_type: str
) -> None:
    trained = train_tokenizer(texts_of(folder), 300, tmp_path / "cache")
    trained.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text(json.dumps({"model_type": model_type}))
    again = load_tokenizer(str(tmp_path / "model"))
    assert again.backend_tokenizer.to_str() == trained.backend_tokenizer.to_str()
    assert again.special_tokens_map == trained.special_tokens_map


def test_a_tiny_corpus_is_enough(tmp_path: Path) -> None:
    (tmp_path / "train.src").write_text("a\n")
    (tmp_path / "train.tgt").write_text("'\\ud83d\\ude00 \\ud800'\n")
    tokenizer = train_tokenizer(texts_of(tmp_path), 30000, tmp_path / "cache")
    assert 261 <= len(tokenizer) < 300
    assert tokenizer.decode(tokenizer("é 你")["input_ids"], skip_special_tokens=True) == "é 你"


def test_training_is_deterministic_and_cached(folder: Path, tmp_path: Path) -> None:
    first = train_tokenizer(texts_of(folder), 290, tmp_path / "one").backend_tokenizer.to_str()
    assert train_tokenizer(texts_of(folder), 290, tmp_path / "two").backend_tokenizer.to_str() == first
    assert train_tokenizer(texts_of(folder), 290, tmp_path / "one").backend_tokenizer.to_str() == first
    assert len(list((tmp_path / "one").iterdir())) == 1
    assert len(train_tokenizer(texts_of(folder), 280, tmp_path / "one")) < len(
        train_tokenizer(texts_of(folder), 290, tmp_path / "one")
    )
    for name in ("train.src", "train.tgt"):
        (folder / name).write_text(f"other words of {name}\n" * 40)
        changed = train_tokenizer(texts_of(folder), 290, tmp_path / "one").backend_tokenizer.to_str()
        assert changed != first
        first = changed


def test_small_vocabularies_are_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UserError, match="vocab_size is 100"):
        train_tokenizer(texts_of(folder), 100, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("name", ["no-such/tokenizer", "not a name!", "./nowhere", "notes.txt", "long" * 100])
def test_names_that_neither_disk_nor_hub_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("textbox_elmer.hub._hub_answers", lambda: False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("some text")
    with pytest.raises(UserError, match=r"is no local folder.*--tokenizer_path.*hf auth login") as error:
        load_tokenizer(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"tokenizer.json": "{", "tokenizer_config.json": '{"tokenizer_class": "PreTrainedTokenizerFast"}'},
        {"tokenizer.json": '{"version": "1.0"}'},
        {"vocab.json": "[", "merges.txt": "", "config.json": '{"model_type": "bart"}'},
        # For these transformers makes up a tokenizer that knows no word.
        {"config.json": '{"model_type": "bart"}'},
        {"config.json": '{"model_type": "elmer"}'},
        {"config.json": '{"model_type": "t5"}'},
    ],
)
def test_folders_without_a_sound_tokenizer(tmp_path: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match="tokenizer files are missing or damaged") as error:
        load_tokenizer(str(tmp_path))
    assert "\n" not in str(error.value)


@pytest.fixture
def folder_with_code(tmp_path: Path) -> Path:
    """A tokenizer that brings code of its own, which leaves a file behind when it is run."""
    path = tmp_path / "with_code"
    shutil.copytree(TOKENIZER, path)
    config = json.loads((path / "tokenizer_config.json").read_text()) | {"tokenizer_class": "Own"}
    config["auto_map"] = {"AutoTokenizer": ["tokenization_own.Own", "tokenization_own.Own"]}
    (path / "tokenizer_config.json").write_text(json.dumps(config))
    code = f"open({str(tmp_path / 'executed')!r}, 'w')\nfrom transformers import PreTrainedTokenizerFast as Own\n"
    (path / "tokenization_own.py").write_text(code)
    return path


def test_a_tokenizers_own_code_is_never_run(
    folder_with_code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda *args: pytest.fail("the user is asked whether to run code"))
    with pytest.raises(UserError, match="contains custom code"):
        load_tokenizer(str(folder_with_code))
    for value in (True, "yes", 1):
        with pytest.raises(UserError, match="tokenizer_kwargs must not set trust_remote_code"):
            load_tokenizer(str(folder_with_code), trust_remote_code=value)
    assert not (tmp_path / "executed").exists()
    assert load_tokenizer(str(TOKENIZER), trust_remote_code=False).mask_token_id is not None


def changed(folder: Path, **parts: object) -> str:
    """Copy the fixture's tokenizer with other parts in its tokenizer.json, and return where it lies."""
    shutil.copytree(TOKENIZER, folder / "changed")
    path = folder / "changed" / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | parts))
    # BART's own class would take parts of its own.
    path.with_name("tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    return str(path.parent)


def split_at(pattern: str) -> dict[str, object]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


@pytest.mark.parametrize(
    "parts",
    [
        {"pre_tokenizer": split_at("([")},
        {"model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1}, "unk_token": "none"}},
    ],
)
def test_parts_that_cannot_be_read_or_used(parts: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="changed', where tokenizer files are missing or damaged"):
        load_tokenizer(changed(tmp_path, **parts))


def test_a_pattern_that_stops_over_a_text(tmp_path: Path) -> None:
    """The Rust library panics over it, which is no Exception."""
    tokenizer = load_tokenizer(changed(tmp_path, pre_tokenizer=split_at("(x+x+)+y")))
    split = Split("train", ["some words", "x" * 50], ["a", "b"])
    with pytest.raises(UserError, match=r"changed' stops over a text \(Onig: .*tokenizer_path"):
        encode_split(split, tokenizer, {"src_len": 9, "tgt_len": 9}, tmp_path / "cache")
