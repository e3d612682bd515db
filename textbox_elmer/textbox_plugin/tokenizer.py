"""The tokenizer for ELMER: the one that is named, or one learnt from the dataset, as in the embedded host."""

import os
from collections.abc import Callable
from functools import wraps
from typing import Any

from transformers import PreTrainedTokenizerBase

from textbox_elmer.errors import as_user_error
from textbox_elmer.text.lines import references_of
from textbox_elmer.text.vocabulary import learn_tokenizer
from textbox_elmer.textbox_plugin.building import NAME

GetTokenizer = Callable[[Any], PreTrainedTokenizerBase]


def extend_get_tokenizer(theirs: GetTokenizer) -> GetTokenizer:
    """Return TextBox's `get_tokenizer`, which fails where no path is named, with an answer for ELMER."""
    if hasattr(theirs, "__wrapped__"):
        return theirs

    @wraps(theirs)
    def get_tokenizer(config: Any) -> PreTrainedTokenizerBase:
        if config["model"] != NAME:
            return theirs(config)
        named = config["tokenizer_path"] or config["model_path"]
        tokenizer = theirs(config) if named else learn_from_dataset(config)
        tokenizer.padding_side = "right"  # a canvas is filled from its left end
        return tokenizer

    return get_tokenizer


def learn_from_dataset(config: Any) -> PreTrainedTokenizerBase:
    """Learn a tokenizer of `vocab_size` tokens from the dataset's train files, read as TextBox reads them.

    Raises:
        UserError: a vocabulary too small for the bytes.
    """
    from textbox.data.misc import load_data

    texts = load_data(os.path.join(config["data_path"], "train.src"))
    if config["pretrain_task"] is None:
        for references in load_data(os.path.join(config["data_path"], "train.tgt")):
            texts += references_of(references)
    with as_user_error():
        return learn_tokenizer(texts, config["vocab_size"])
