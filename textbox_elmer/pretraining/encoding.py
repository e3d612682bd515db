"""From texts to ids that know where their sentences and words begin."""

from collections.abc import Sequence

import numpy as np
from transformers import PreTrainedTokenizerBase

from textbox_elmer.text.sentences import sentence_offsets

from .corruption import Texts
from .ragged import starts_of

WORD_START = "Ġ"  # how byte-level vocabularies spell the blank before a word


def check_tokenizer(tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise a ValueError, in one sentence, if texts in this tokenizer's ids cannot be corrupted."""
    name = tokenizer.name_or_path or "at hand"
    if tokenizer.mask_token_id is None:
        raise ValueError(
            f"The tokenizer {name!r} has no mask token, which hides words: give another by tokenizer_path."
        )
    if not tokenizer.is_fast:
        raise ValueError(
            f"The tokenizer {name!r} is a slow one, which cannot tell where its tokens come from: give a fast one."
        )
    if tokenizer.eos_token_id is None:
        raise ValueError(f"The tokenizer {name!r} has no end-of-text token: give another by tokenizer_path.")
    if tokenizer.pad_token_id is None:
        raise ValueError(f"The tokenizer {name!r} has no padding token: give another by tokenizer_path.")
    if not word_starts(tokenizer).any():
        raise ValueError(
            f"The tokenizer {name!r} has no tokens that begin with {WORD_START!r} and so show where words begin: "
            "give a byte-level one, such as BART's, by tokenizer_path."
        )


def word_starts(tokenizer: PreTrainedTokenizerBase) -> np.ndarray:
    """Return, for each id, whether it begins a word, `[vocabulary]`."""
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    return np.array([token is not None and token.startswith(WORD_START) for token in tokens])


def ordinary_ids(tokenizer: PreTrainedTokenizerBase) -> np.ndarray:
    """Return the ids that stand for text: all but special and added tokens."""
    special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    return np.array([token for token in range(len(tokenizer)) if token not in special])


def encode_texts(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> Texts:
    """Tokenize texts without special tokens, each cut after `max_tokens`, and find their sentences.

    Args:
        tokenizer: a fast one.
    """
    encoded = tokenizer(
        list(texts),
        add_special_tokens=False,
        truncation=True,
        max_length=max_tokens,
        return_attention_mask=False,
        return_token_type_ids=False,
        split_special_tokens=True,  # a "<mask>" in raw text is text
    ).encodings
    rows = [np.array(encoding.ids, dtype=np.int64) for encoding in encoded]
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    starts = starts_of(lengths)
    flags = np.zeros(int(lengths.sum()), dtype=bool)
    flags[starts[lengths > 0]] = True
    for text, encoding, start in zip(texts, encoded, starts, strict=True):
        if len(encoding.ids):
            kept = text[: encoding.offsets[-1][1]]
            tokens = [encoding.char_to_token(offset) for offset in sentence_offsets(kept)]
            flags[[start + token for token in tokens if token is not None]] = True
    ids = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)
    return Texts(ids, lengths, flags)
