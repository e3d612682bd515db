"""Texts become ids that know their words and sentences; tokenizers that cannot say so are refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from tests.conftest import FIXTURES
from textbox_elmer.pretraining import PretrainingCollator
from textbox_elmer.pretraining.encoding import check_tokenizer, encode_texts, ordinary_ids, word_starts
from textbox_elmer.text.sentences import sentence_tokenize

FOLDER = FIXTURES / "textbox" / "tokenizer"
TOKENIZER = AutoTokenizer.from_pretrained(FOLDER)

bounded = settings(deadline=None, derandomize=True, max_examples=50)
anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
prose = st.lists(
    st.sampled_from(["A dog", "ran.", "It", "barked!\n", "Mr. Lee", "saw?", "<s>", "…", "你好。"]), max_size=15
)
texts = st.lists(st.one_of(anything, prose.map(" ".join)), min_size=1, max_size=5)


@bounded
@given(texts, st.integers(1, 30))
def test_each_text_is_encoded_as_if_alone_and_cut(texts: list[str], most: int) -> None:
    together = encode_texts(texts, TOKENIZER, most)
    ends = np.cumsum(together.lengths).tolist()
    for text, end, length in zip(texts, ends, together.lengths.tolist(), strict=True):
        alone = encode_texts([text], TOKENIZER, most)
        assert together.ids[end - length : end].tolist() == alone.ids.tolist()
        assert together.sentence_starts[end - length : end].tolist() == alone.sentence_starts.tolist()
        whole = TOKENIZER(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        assert alone.ids.tolist() == whole[:most]
        assert not set(whole) & set(TOKENIZER.all_special_ids)
        assert TOKENIZER.decode(whole, clean_up_tokenization_spaces=False) == text
        assert alone.sentence_starts[:1].all(), "a text's first token begins a sentence"


@bounded
@given(prose)
def test_sentences_begin_where_punkt_says(words: list[str]) -> None:
    text = " ".join(words)
    encoded = encode_texts([text], TOKENIZER, 1000)
    parts = np.split(encoded.ids, np.flatnonzero(encoded.sentence_starts)[1:])
    found = [TOKENIZER.decode(part, clean_up_tokenization_spaces=False).strip() for part in parts]
    assert found == [sentence.strip() for sentence in sentence_tokenize(text)] or not text.strip()


def test_encoding_leaves_the_tokenizer_as_it_was() -> None:
    before = TOKENIZER("a <mask> b")["input_ids"]
    encode_texts(["a <mask> b, and many more words that are cut"], TOKENIZER, 4)
    assert TOKENIZER("a <mask> b")["input_ids"] == before
    assert TOKENIZER.mask_token_id in before
    assert len(TOKENIZER("word " * 50)["input_ids"]) > 50


def test_words_begin_at_the_tokens_that_start_with_a_blank() -> None:
    begins = word_starts(TOKENIZER)
    assert len(begins) == len(TOKENIZER)
    for token in range(len(TOKENIZER)):
        assert begins[token] == (TOKENIZER.convert_ids_to_tokens(token)[0] == "Ġ")
    spelled = AutoTokenizer.from_pretrained(FOLDER)
    spelled.add_tokens(["oĠo"])  # within a token the letter says nothing
    assert not word_starts(spelled)[-1]


def test_special_and_added_tokens_are_not_ordinary() -> None:
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    plain = ordinary_ids(tokenizer).tolist()
    assert plain == [token for token in range(len(tokenizer)) if token not in tokenizer.all_special_ids]
    tokenizer.add_tokens(["[added]", "[another]"])
    tokenizer.add_special_tokens({"additional_special_tokens": ["[special]"]})
    assert len(tokenizer) == len(TOKENIZER) + 3
    assert ordinary_ids(tokenizer).tolist() == plain


def without(*names: str) -> Callable[[], PreTrainedTokenizerBase]:
    def make() -> PreTrainedTokenizerBase:
        tokenizer = AutoTokenizer.from_pretrained(FOLDER)
        for name in names:
            setattr(tokenizer, f"{name}_token", None)
        return tokenizer

    return make


class Slow(PreTrainedTokenizerFast):
    """Says of itself that it is slow, as those of transformers' Python classes do."""

    is_fast = False


def slow() -> PreTrainedTokenizerBase:
    return Slow(tokenizer_object=TOKENIZER.backend_tokenizer, **TOKENIZER.special_tokens_map)


def wordless() -> PreTrainedTokenizerBase:
    backend = Tokenizer(models.WordLevel({"<pad>": 0, "</s>": 1, "<mask>": 2, "aĠ": 3}, unk_token="<pad>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", mask_token="<mask>")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (without("mask"), "has no mask token"),
        (without("eos"), "has no end-of-text token"),
        (without("pad"), "has no padding token"),
        (slow, "is a slow one"),
        (wordless, "has no tokens that begin with 'Ġ'"),
    ],
)
def test_a_tokenizer_that_does_not_suit_is_refused_in_one_sentence(
    make: Callable[[], PreTrainedTokenizerBase], message: str
) -> None:
    for refuse in (check_tokenizer, lambda tokenizer: PretrainingCollator(tokenizer, 0)):
        with pytest.raises(ValueError, match=rf"^The tokenizer '.*' {message}.*\.$") as error:
            refuse(make())
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_length": 2}, "max_length is 2, but"),
        ({"max_length": -1}, "max_length is -1, but"),
        ({"mask_ratio": -0.1}, "mask_ratio is a share from 0 to 1, not -0.1"),
        ({"mask_ratio": 1.01}, "mask_ratio is a share from 0 to 1, not 1.01"),
        ({"mask_ratio": float("nan")}, "mask_ratio is a share from 0 to 1, not nan"),
        ({"poisson_lambda": 0.0}, "poisson_lambda is above 0 and at most 1000 words, not 0.0"),
        ({"poisson_lambda": -3}, "poisson_lambda is above 0 and at most 1000 words, not -3"),
        ({"poisson_lambda": float("nan")}, "poisson_lambda is above 0 and at most 1000 words, not nan"),
        ({"poisson_lambda": 1000.5}, "poisson_lambda is above 0 and at most 1000 words, not 1000.5"),
        ({"poisson_lambda": float("inf")}, "poisson_lambda is above 0 and at most 1000 words, not inf"),
    ],
)
def test_a_number_out_of_range_is_refused_in_one_sentence(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^{message}.*\.$"):
        PretrainingCollator(TOKENIZER, 0, **arguments)


def test_a_tokenizer_without_bos_frames_texts_by_their_end_alone() -> None:
    tokenizer = without("bos")()
    batch = PretrainingCollator(tokenizer, 0, 6)([{"text": "word " * 9, "index": 0, "epoch": 0}])
    ids = tokenizer("word " * 9, add_special_tokens=False)["input_ids"]
    assert batch["labels"].tolist() == [[*ids[:5], tokenizer.eos_token_id]]
