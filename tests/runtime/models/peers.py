"""What the tests of the models share: tiny sizes, and TextBox's formats as its own table has them."""

import json
from pathlib import Path
from typing import Any

import transformers
from transformers import PreTrainedTokenizerBase

from tests.conftest import TINY
from textbox_elmer.runtime.catalogue.models import find_model

SIZES: dict[str, Any] = {
    **dict.fromkeys(("d_model", "hidden_size", "n_embd"), 32),
    **dict.fromkeys(("encoder_layers", "decoder_layers", "num_layers", "num_decoder_layers", "n_layer"), 2),
    **dict.fromkeys(("num_encoder_layers", "num_hidden_layers"), 2),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim", "ffn_dim", "intermediate_size", "d_ff", "dff"), 48),
    "d_kv": 8,
    "attention_window": 8,
    "block_size": 8,
    "local_radius": 7,
    "attention_types": [[["global", "local"], 1]],
    "window_size": 8,
}
SOURCE, TARGET = "alpha beta", "gamma"
LANGUAGES = {"src_lang": "ro_RO", "tgt_lang": "en_XX"}

# TextBox's table: source, target, what the decoder starts from, the first token that generation forces.
EOS = ("src </s>", "tgt </s>")
BART = ("<s> src </s>", "<s> tgt </s>", "</s>", "<s>")
ENDOFTEXT = ("src <|endoftext|>", "tgt <|endoftext|>", None, None)
FORMATS: dict[str, tuple[str, str, str | None, str | None]] = {
    "BART": BART,
    "T5": (*EOS, "<pad>", None),
    "mT5": (*EOS, "<pad>", None),
    "PEGASUS": (*EOS, "<pad>", None),
    "PEGASUS-X": (*EOS, "<pad>", None),
    "LED": BART,
    "MVP": BART,
    "ProphetNet": ("src [SEP]", "tgt [SEP]", "[SEP]", None),
    "Blenderbot": (*EOS, "<s>", None),
    "Blenderbot-Small": ("src __end__", "tgt __end__", "__start__", None),
    "BigBird-Pegasus": (*EOS, "<s>", None),
    "LongT5": (*EOS, "<pad>", None),
    "M2M-100": ("__ro_RO__ src </s>", "__en_XX__ tgt </s>", "</s>", "__en_XX__"),
    "mBART": ("src </s> ro_RO", "tgt </s> en_XX", "en_XX", None),
    # Forcing the language is ours: without it a published checkpoint writes any.
    "NLLB": ("ro_RO src </s>", "en_XX tgt </s>", "</s>", "en_XX"),
    "MarianMT": (*EOS, "</s>", None),
    "BERT2BERT": ("[CLS] src [SEP]", "tgt [SEP]", "[CLS]", None),
    "XLM-RoBERTa": ("<s> src </s>", "<s> tgt </s>", "</s>", None),
    "GPT-2": ENDOFTEXT,
    "GPT-Neo": ENDOFTEXT,
    "OPT": ("</s> src </s>", "tgt </s>", None, None),
    "CTRL": (*EOS, None, None),
    "OpenAI-GPT": (*EOS, None, None),
    "CPM": ("src <sep>", "tgt <sep>", None, None),
    "Chinese-BART": ("[CLS] src [SEP]", "[CLS] tgt [SEP]", "[SEP]", None),
    "Chinese-Pegasus": ("[CLS] src [SEP]", "[CLS] tgt [SEP]", "[SEP]", None),
    "Chinese-GPT2": ("[CLS] src [SEP]", "[CLS] tgt [SEP]", None, None),
}


def tiny_peer(model: str, **changes: Any) -> dict[str, Any]:
    """Return a configuration with which any of the host's models trains in a second."""
    fields = find_model(model).config_fields()
    sizes = {name: size for name, size in SIZES.items() if name in fields}
    shared = {name: value for name, value in TINY.items() if name != "d_model"}
    return shared | LANGUAGES | sizes | {"generation_kwargs": {"num_beams": 2}} | changes


def letters(end: str, *specials: str) -> dict[str, int]:
    """A vocabulary of letters, as byte-pair encoding has it before the first merge."""
    found = sorted(set(SOURCE + TARGET) - {" "})
    tokens = [*specials, "Ġ", *found, *(letter + end for letter in found if end)]
    return {token: number for number, token in enumerate(tokens)}


def with_files(folder: Path, tokenizer: str, end: str, *specials: str) -> PreTrainedTokenizerBase:
    """A tokenizer that is written in Python and reads its vocabulary from files."""
    (folder / "vocab.json").write_text(json.dumps(letters(end, *specials)))
    (folder / "merges.txt").write_text("#version: 0.2\nq q\n")
    return getattr(transformers, tokenizer)(str(folder / "vocab.json"), str(folder / "merges.txt"))
