"""The special tokens around texts, read off encoded ones."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from textbox_elmer.errors import UserError
from textbox_elmer.runtime.data import load_tokenizer
from textbox_elmer.text.frames import special_token_frame

FIXTURES = Path(__file__).parents[1] / "fixtures" / "textbox"


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


def test_a_tokenizer_without_a_frame_to_read_is_refused() -> None:
    tokenizer = Tokenizer(models.BPE({"</s>": 0}, []))  # knows no letter and leaves out what it does not know
    tokenizer.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 0)])
    with pytest.raises(UserError, match="--tokenizer_path"):
        special_token_frame(PreTrainedTokenizerFast(tokenizer_object=tokenizer))
