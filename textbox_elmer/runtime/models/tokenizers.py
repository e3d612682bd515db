"""The tokenizer that a run asks for, with the special tokens that its model's format needs."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from transformers import PreTrainedTokenizerBase

from textbox_elmer.runtime.catalogue.find_model import ModelSpec
from textbox_elmer.runtime.catalogue.formats import LANGUAGES, frame_of
from textbox_elmer.runtime.data import load_tokenizer, train_tokenizer
from textbox_elmer.text.vocabulary import TEXT, SpecialTokens

logger = logging.getLogger(__name__)


def build_tokenizer(
    config: Mapping[str, Any], spec: ModelSpec, sample: Callable[[], list[str]]
) -> PreTrainedTokenizerBase:
    """Load the tokenizer of `tokenizer_path`, else of `model_path`; without either, train one on `sample()`.

    Raises:
        UserError: it cannot be loaded, or `vocab_size` is too small.
    """
    path = config["tokenizer_path"] or config["model_path"]
    if path is None:
        logger.info("Training a tokenizer on %s", config["dataset"])
        return train_tokenizer(sample(), config["vocab_size"], special=_special_tokens(config, spec))
    tokenizer = load_tokenizer(str(path), **(config["tokenizer_kwargs"] or {}))
    form = spec.format
    added = {f"{role}_token": form.tokens[role] for role in form.lacking}
    tokenizer.add_special_tokens({name: token for name, token in added.items() if getattr(tokenizer, name) is None})
    if spec.causal and tokenizer.pad_token is None:
        # Padding is masked and never learnt from, so the end of a text can stand for it.
        tokenizer.pad_token = getattr(tokenizer, f"{form.end}_token")
    return tokenizer


def _special_tokens(config: Mapping[str, Any], spec: ModelSpec) -> SpecialTokens:
    form = spec.format
    before, after = ([form.token(role, config) for role in roles] for roles in frame_of(form.source))
    languages = [form.token(role, config) for role in LANGUAGES] if form.has_languages else []
    return SpecialTokens(form.tokens, (*before, TEXT, *after), tuple(dict.fromkeys(languages)))
