"""From generated ids to texts, as both hosts write them."""

import numpy as np
from torch import Tensor
from transformers import PreTrainedTokenizerBase

EMPTY_OUTPUT = "NULL"  # what TextBox writes for a text of no words


def decode_ids(tokenizer: PreTrainedTokenizerBase, ids: list[list[int]] | Tensor | np.ndarray) -> list[str]:
    """Return the text of each row of generated ids, with whatever line breaks and blanks the model wrote."""
    return tokenizer.batch_decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def one_line(text: str) -> str:
    """Return a text without the blanks around it, its line breaks as blanks."""
    return " ".join(text.splitlines()).strip()


def decode_texts(tokenizer: PreTrainedTokenizerBase, ids: list[list[int]] | Tensor | np.ndarray) -> list[str]:
    """Return the text of each row of generated ids, as one line of `generation.txt`."""
    return [one_line(text) or EMPTY_OUTPUT for text in decode_ids(tokenizer, ids)]
