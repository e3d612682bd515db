"""Each model's texts stand between the special tokens of TextBox's table, whoever made the tokenizer."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers
from transformers import PreTrainedTokenizerBase

from tests.conftest import WORDS
from tests.runtime.models.peers import FORMATS, LANGUAGES, SOURCE, TARGET, letters, tiny_peer, with_files
from textbox_elmer.errors import UserError
from textbox_elmer.runtime.catalogue.models import find_model
from textbox_elmer.runtime.config import resolve_config
from textbox_elmer.runtime.data import Split, encode_split
from textbox_elmer.runtime.data.tokenizer import build_tokenizer
from textbox_elmer.runtime.models.building import build_model
from textbox_elmer.runtime.models.special_ids import special_ids


def encoded(
    name: str, folder: Path, **changes: Any
) -> tuple[PreTrainedTokenizerBase, list[int], list[int], list[int], list[int]]:
    """Return a model's tokenizer, the source's and target's ids with special tokens, and those without."""
    config = resolve_config(name, "toy", None, tiny_peer(name, **changes))
    spec = find_model(name)
    tokenizer = build_tokenizer(config, spec, lambda: WORDS)
    special = special_ids(spec, tokenizer, config)
    split = Split("test", [SOURCE], [TARGET])
    (row,) = encode_split(split, tokenizer, config, folder / "cache", (special.source, special.target))
    bare = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (SOURCE, TARGET)]
    return tokenizer, row["source_ids"], row["target_ids"], *bare


def between(ids: list[int], text: list[int], tokenizer: PreTrainedTokenizerBase, word: str) -> str:
    """Return ids as TextBox's table writes them, the text's own ids being `word`."""
    for start in range(len(ids)):
        if ids[start : start + len(text)] == text:
            before, after = ids[:start], ids[start + len(text) :]
            around = [*tokenizer.convert_ids_to_tokens(before), word, *tokenizer.convert_ids_to_tokens(after)]
            return " ".join(around)
    raise AssertionError(f"{text} is not in {ids}")


@pytest.mark.parametrize("name", FORMATS)
def test_from_scratch(tmp_path: Path, name: str) -> None:
    source, target, start, forced = FORMATS[name]
    tokenizer, source_ids, target_ids, source_text, target_text = encoded(name, tmp_path)
    assert between(source_ids, source_text, tokenizer, "src") == source
    assert between(target_ids, target_text, tokenizer, "tgt") == target
    assert tokenizer(SOURCE)["input_ids"] == source_ids, "the tokenizer alone frames sources, too"
    assert tokenizer.decode(target_ids, skip_special_tokens=True) == TARGET
    config = resolve_config(name, "toy", None, tiny_peer(name))
    generation = build_model(config, find_model(name), tokenizer).generation_config
    tokens = {
        name: tokenizer.convert_ids_to_tokens(value)
        for name, value in generation.to_dict().items()
        if value is not None and name.endswith("token_id")
    }
    assert tokens.get("decoder_start_token_id") == start
    assert tokens.get("forced_bos_token_id") == forced
    assert tokens["eos_token_id"] == target.split()[target.split().index("tgt") + 1]
    assert tokens["pad_token_id"] == tokenizer.pad_token


PIECES = ["▁alpha", "▁beta", "▁gamma"]
BERT_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "alpha", "beta", "gamma"]


def unigram(*specials: str) -> list[tuple[str, float]]:
    return [(token, 0.0) for token in specials] + [("▁", -2.0)] + [(piece, -1.0) for piece in PIECES]


def words_file(folder: Path) -> str:
    (folder / "vocab.txt").write_text("\n".join(BERT_WORDS))
    return str(folder / "vocab.txt")


def byte_level(tokenizer: str, *specials: str, **options: Any) -> Callable[[Path], PreTrainedTokenizerBase]:
    return lambda _: getattr(transformers, tokenizer)(vocab=letters("", *specials), merges=[], **options)


BART_SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
NLLB_VOCABULARY = {token: number for number, token in enumerate([*BART_SPECIALS[:4], "▁", *"▁alphbetgm"[1:]])}
OWN: dict[str, tuple[str, Callable[[Path], PreTrainedTokenizerBase]]] = {
    # the model, its model_type, and its tokenizer as transformers makes it without the hub
    "BART": ("bart", byte_level("BartTokenizer", *BART_SPECIALS)),
    "LED": ("led", byte_level("LEDTokenizer", *BART_SPECIALS)),
    "MVP": ("mvp", byte_level("MvpTokenizer", *BART_SPECIALS)),
    "Blenderbot": ("blenderbot", byte_level("BlenderbotTokenizer", *BART_SPECIALS)),
    "T5": ("t5", lambda _: transformers.T5Tokenizer(vocab=unigram("<pad>", "</s>", "<unk>"), extra_ids=0)),
    "mT5": ("mt5", lambda _: transformers.T5Tokenizer(vocab=unigram("<pad>", "</s>", "<unk>"), extra_ids=0)),
    "LongT5": ("longt5", lambda _: transformers.T5Tokenizer(vocab=unigram("<pad>", "</s>", "<unk>"), extra_ids=0)),
    "PEGASUS": (
        "pegasus",
        lambda _: transformers.PegasusTokenizer(vocab=unigram("<pad>", "</s>", "<mask_1>", "<mask_2>", "<unk>")),
    ),
    "mBART": ("mbart", lambda _: transformers.MBartTokenizer(vocab=unigram(*BART_SPECIALS[:4]), **LANGUAGES)),
    "XLM-RoBERTa": (
        "xlm-roberta",
        lambda _: transformers.XLMRobertaTokenizer(vocab=unigram(*BART_SPECIALS[:4], "<mask>")),
    ),
    "BERT2BERT": ("bert", lambda folder: transformers.BertTokenizer(words_file(folder))),
    "ProphetNet": ("prophetnet", lambda folder: transformers.ProphetNetTokenizer(words_file(folder))),
    "Chinese-BART": ("bart", lambda folder: transformers.BertTokenizer(words_file(folder))),
    "Chinese-GPT2": ("gpt2", lambda folder: transformers.BertTokenizer(words_file(folder))),
    "Blenderbot-Small": (
        "blenderbot-small",
        lambda folder: with_files(
            folder, "BlenderbotSmallTokenizer", "@@", "__null__", "__start__", "__end__", "__unk__"
        ),
    ),
    "GPT-2": ("gpt2", byte_level("GPT2Tokenizer", "<|endoftext|>")),
    "GPT-Neo": ("gpt_neo", byte_level("GPT2Tokenizer", "<|endoftext|>")),
    "OPT": (
        "opt",
        byte_level("GPT2Tokenizer", "<s>", "<pad>", "</s>", bos_token="</s>", pad_token="<pad>", eos_token="</s>"),
    ),
    "CTRL": ("ctrl", lambda folder: with_files(folder, "CTRLTokenizer", "@@", "<unk>")),
    "OpenAI-GPT": (
        "openai-gpt",
        lambda _: transformers.OpenAIGPTTokenizer(vocab=letters("</w>", "<unk>"), merges=[]),
    ),
}
FRAMELESS = ("Blenderbot", "Blenderbot-Small", "GPT-2", "GPT-Neo", "OPT", "CTRL", "OpenAI-GPT")


@pytest.mark.parametrize("name", OWN)
def test_transformers_own_tokenizers(tmp_path: Path, name: str) -> None:
    source, target, *_ = FORMATS[name]
    model_type, make = OWN[name]
    make(tmp_path).save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text(json.dumps({"model_type": model_type}))
    tokenizer, source_ids, target_ids, source_text, target_text = encoded(
        name, tmp_path, tokenizer_path=str(tmp_path / "model")
    )
    assert tokenizer.unk_token_id not in source_text
    assert between(source_ids, source_text, tokenizer, "src") == source
    assert between(target_ids, target_text, tokenizer, "tgt") == target
    if name not in FRAMELESS:
        assert tokenizer(SOURCE)["input_ids"] == source_ids
    if name == "mBART":
        assert tokenizer(text_target=TARGET)["input_ids"] == target_ids
    assert tokenizer.pad_token_id is not None


def test_nllbs_own_tokenizer(tmp_path: Path) -> None:
    languages = {"src_lang": "ron_Latn", "tgt_lang": "eng_Latn"}
    own = transformers.NllbTokenizer(vocab=NLLB_VOCABULARY, merges=[], **languages)
    own.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text(json.dumps({"model_type": "m2m_100"}))
    tokenizer, source_ids, target_ids, *_ = encoded(
        "NLLB", tmp_path, tokenizer_path=str(tmp_path / "model"), **languages
    )
    assert source_ids == tokenizer(SOURCE)["input_ids"] == own(SOURCE)["input_ids"]
    assert target_ids == own(text_target=TARGET)["input_ids"]
    assert tokenizer.convert_ids_to_tokens([source_ids[0], target_ids[0]]) == ["ron_Latn", "eng_Latn"]
    for slip in ("ro_Latn", "ron"):
        message = f"src_lang is {slip!r}, which the tokenizer does not know: did you mean ron_Latn?"
        with pytest.raises(UserError, match=re.escape(message)):
            encoded("NLLB", tmp_path, tokenizer_path=str(tmp_path / "model"), src_lang=slip, tgt_lang="eng_Latn")


def test_a_tokenizer_without_a_token_of_the_format(tmp_path: Path) -> None:
    OWN["GPT-2"][1](tmp_path).save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(UserError, match=r"has no sep token, which CPM's texts need: give another by --tokenizer_path"):
        encoded("CPM", tmp_path, tokenizer_path=str(tmp_path / "model"))
