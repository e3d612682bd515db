"""The sources of whole batches, held to what a corruption is, over texts of every kind and two tokenizers."""

import math
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from tests.conftest import FIXTURES
from tests.pretraining.oracle import Sentence, is_corruption, split_words
from textbox_elmer.pretraining import PretrainingCollator
from textbox_elmer.runtime.data import train_tokenizer
from textbox_elmer.text.sentences import sentence_tokenizer

PROSE = "The old dog of Mr. Brown ran home. It rained all day! Who saw the cat? Nobody said a word about it. "
WORDS = ["the", "The", "cat", "dog", "said", "Mr.", "home.", "rained!", "Who?", '"It', 'day."', "--", "<mask>", "</s>"]

bounded = settings(deadline=None, derandomize=True, max_examples=40)
odd = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
pieces = st.lists(st.one_of(st.sampled_from(WORDS), st.sampled_from(WORDS), odd), max_size=40)
texts = st.builds(lambda words, blank: blank.join(words), pieces, st.sampled_from([" ", " ", "  ", "\n", ""]))


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, PreTrainedTokenizerBase]:
    """TextBox's BART tokenizer, small, and one of ours that knows whole words."""
    trained = train_tokenizer([PROSE * 5, " ".join(WORDS)], 420, tmp_path_factory.mktemp("tokenizers"))
    return {"bart": AutoTokenizer.from_pretrained(FIXTURES / "textbox" / "tokenizer"), "trained": trained}


def ids_of(text: str, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    return tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]


def sentences_of(text: str, tokenizer: PreTrainedTokenizerBase) -> list[Sentence]:
    """Return the words of a text's sentences, found by comparing characters' and tokens' places."""
    encoded = tokenizer(text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)
    starts = set()
    for start, _ in sentence_tokenizer().span_tokenize(text):
        inside = [place for place, (first, end) in enumerate(encoded["offset_mapping"]) if first <= start < end]
        starts |= set(inside[:1])
    begin_words = {token for piece, token in tokenizer.get_vocab().items() if piece[0] == "Ġ"}
    return split_words(encoded["input_ids"], starts, begin_words)


def source_of(text: str, collator: PretrainingCollator, index: int = 0) -> list[int]:
    batch = collator([{"text": text, "index": index, "epoch": 0}])
    assert batch["attention_mask"].all()
    return batch["input_ids"][0].tolist()


@bounded
@given(texts, st.integers(0, 2**31), st.sampled_from(["bart", "trained"]), st.sampled_from([0.0, 0.3, 0.55, 1.0]))
def test_a_source_is_its_text_permuted_and_infilled(
    tokenizers: dict[str, PreTrainedTokenizerBase], text: str, seed: int, name: str, ratio: float
) -> None:
    tokenizer = tokenizers[name]
    sentences = sentences_of(text, tokenizer)
    assume(len(sentences) <= 5)
    collator = PretrainingCollator(tokenizer, seed, mask_ratio=ratio)
    hidden = math.ceil(round(ratio * sum(map(len, sentences)), 6))
    first, *body, last = source_of(text, collator)
    assert (first, last) == (tokenizer.bos_token_id, tokenizer.eos_token_id)
    assert not set(body) & (set(tokenizer.all_special_ids) - {tokenizer.mask_token_id})
    assert is_corruption(sentences, body, hidden, set(range(len(tokenizer))))
    # When no mask is replaced, nothing but a mask can hide words, and there is one reading of most outputs.
    collator.infill = replace(collator.infill, replaced=0.0)
    plain = source_of(text, collator)[1:-1]
    assert len(plain) == len(body)
    assert is_corruption(sentences, plain, hidden, {tokenizer.mask_token_id})
    # Masks are all that replacing changes.
    assert all(old in (new, tokenizer.mask_token_id) for new, old in zip(body, plain, strict=True))


@bounded
@given(texts, st.sampled_from(["bart", "trained"]), st.sampled_from([None, 1024]))
def test_the_target_is_the_text_as_it_was(
    tokenizers: dict[str, PreTrainedTokenizerBase], text: str, name: str, canvas_positions: int | None
) -> None:
    tokenizer = tokenizers[name]
    collator = PretrainingCollator(tokenizer, 0, canvas_positions=canvas_positions)
    labels = collator([{"text": text, "index": 0, "epoch": 0}])["labels"][0]
    target = labels[labels != -100].tolist()
    bos = [tokenizer.bos_token_id] if canvas_positions is None else []
    assert target == [*bos, *ids_of(text, tokenizer), tokenizer.eos_token_id]
    assert tokenizer.decode(target[len(bos) : -1], clean_up_tokenization_spaces=False) == text


@bounded
@given(st.integers(3, 30), st.lists(st.sampled_from(WORDS), min_size=1, max_size=40), st.booleans())
def test_long_texts_are_cut_to_the_limit(
    tokenizers: dict[str, PreTrainedTokenizerBase], max_length: int, words: list[str], has_canvas: bool
) -> None:
    text, tokenizer = " ".join(words), tokenizers["trained"]
    positions = 64 if has_canvas else None
    batch = PretrainingCollator(tokenizer, 0, max_length, canvas_positions=positions)(
        [{"text": text, "index": index, "epoch": 0} for index in range(8)]
    )
    assert batch["input_ids"].shape[1] <= max_length
    ends = batch["attention_mask"].sum(1) - 1
    assert (batch["input_ids"][range(8), ends] == tokenizer.eos_token_id).all()
    target = [label for label in batch["labels"][0].tolist() if label != -100]
    bos = [] if has_canvas else [tokenizer.bos_token_id]
    assert target == [*bos, *ids_of(text, tokenizer)[: max_length - 2], tokenizer.eos_token_id]


def test_without_arguments_a_text_has_512_tokens_and_three_in_ten_words_hidden(
    tokenizers: dict[str, PreTrainedTokenizerBase],
) -> None:
    """Read off the batch: the share of words that are gone, and the mean span."""
    tokenizer = tokenizers["trained"]
    the = tokenizer.convert_tokens_to_ids("Ġthe")
    assert ids_of(" the the", tokenizer) == [the, the]
    collator = PretrainingCollator(tokenizer, 0)
    batch = collator([{"text": " the" * 600, "index": index, "epoch": 0} for index in range(150)])
    assert batch["labels"].shape[1] == 512
    collator.infill = replace(collator.infill, replaced=0.0)
    plain = collator([{"text": " the" * 600, "index": index, "epoch": 0} for index in range(150)])["input_ids"]
    assert ((plain == the).sum(1) == 510 - math.ceil(0.3 * 510)).all()
    masks = int((plain == tokenizer.mask_token_id).sum())
    assert 3.4 < 150 * 153 / masks < 3.55, "a bit less than 3.5, since the last span is cut"
    shares = (batch["input_ids"] == tokenizer.mask_token_id).sum() / masks
    assert 0.885 < shares < 0.915


def test_the_oracle_tells_a_corruption_from_what_is_none() -> None:
    sentences = [[[10, 11], [12]], [[20], [21, 22]]]
    assert is_corruption(sentences, [20, 21, 22, 10, 11, 12], 0, {4})
    assert is_corruption(sentences, [4, 20, 4, 10, 11, 12], 1, {4})
    assert is_corruption(sentences, [20, 4, 12], 2, {4})
    assert not is_corruption(sentences, [20, 4, 12], 1, {4})
    assert not is_corruption(sentences, [20, 12], 2, {4}), "words are gone without a mask"
    assert not is_corruption(sentences, [20, 4, 22, 10, 11, 12], 1, {4}), "half a word is hidden"
    assert not is_corruption(sentences, [10, 11, 20, 21, 22, 12], 0, {4}), "a sentence is torn"
