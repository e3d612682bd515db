"""Corruption held to its definition, token by token, by a slow checker that shares no code with it."""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textbox_elmer.pretraining.corruption import Infilling, Texts, draw_spans, permute_sentences, poisson_table
from textbox_elmer.pretraining.noise import example_keys

VOCABULARY, MASK = 200, 4
ORDINARY = np.arange(10, 200)
# The even ordinary ids begin a word, as tokens that start with Ġ do.
WORD_STARTS = (np.arange(VOCABULARY) % 2 == 0) & (np.arange(VOCABULARY) >= 10)

bounded = settings(deadline=None, derandomize=True, max_examples=150)
sentence = st.lists(st.integers(10, VOCABULARY - 1), min_size=1, max_size=25)
text = st.lists(sentence, max_size=5)
batches = st.lists(text, min_size=1, max_size=6)


def ragged(batch: Sequence[Sequence[Sequence[int]]]) -> Texts:
    ids = [token for text in batch for sentence in text for token in sentence]
    starts = [place == 0 for text in batch for sentence in text for place in range(len(sentence))]
    lengths = [sum(map(len, text)) for text in batch]
    return Texts(np.array(ids, np.int64), np.array(lengths, np.int64), np.array(starts, bool))


def keys_of(count: int, seed: int = 0, epoch: int = 0) -> np.ndarray:
    return example_keys(seed, np.full(count, epoch), np.arange(count))


def infilling(mask_ratio: float = 0.3, **changes: float) -> Infilling:
    return Infilling(WORD_STARTS, ORDINARY, MASK, mask_ratio, poisson_table(3.5), **changes)


def rows(flat: np.ndarray, lengths: np.ndarray) -> list[list[int]]:
    ends = np.cumsum(lengths)
    return [flat[end - length : end].tolist() for end, length in zip(ends, lengths, strict=True)]


def words_of(text: Sequence[Sequence[int]]) -> list[list[int]]:
    words: list[list[int]] = []
    for sentence in text:
        for place, token in enumerate(sentence):
            if place == 0 or WORD_STARTS[token]:
                words.append([])
            words[-1].append(token)
    return words


def hidden_words(words: list[list[int]], corrupted: list[int]) -> int | None:
    """Return how many words are missing, if `corrupted` is the words in order, some runs replaced by masks; else None.

    Masks here are never replaced, so that they can be told from words.
    """
    at, missing, mask_open = 0, 0, 0
    place = 0
    while place < len(corrupted):
        if corrupted[place] == MASK:
            mask_open += 1
            place += 1
            continue
        start = at
        while at < len(words) and words[at] != corrupted[place : place + len(words[at])]:
            at += 1
        if at == len(words) or (at > start and not mask_open):
            return None
        missing += at - start
        place += len(words[at])
        at, mask_open = at + 1, 0
    if at < len(words) and not mask_open:
        return None
    return missing + len(words) - at


@bounded
@given(batches, st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.15, 0.3, 0.5, 1.0]))
def test_whole_words_are_hidden_exactly_as_many_as_asked(batch: list, seed: int, ratio: float) -> None:
    # Words are made distinct, so that which of them stand in the output is certain.
    numbered, token = [], 10
    for text in batch:
        numbered.append([])
        for sentence in text:
            numbered[-1].append([])
            for place, old in enumerate(sentence):
                token += 1 + (token + 1 + old) % 2 if place else 1
                numbered[-1][-1].append(token)
    starts = np.arange(token + 1) % 2 == 0
    infill = Infilling(starts, np.arange(10, token + 1), MASK, ratio, poisson_table(3.5), replaced=0.0)
    texts = ragged(numbered)
    corrupted, lengths = infill(texts, keys_of(len(batch), seed))
    for text, row in zip(numbered, rows(corrupted, lengths), strict=True):
        words: list[list[int]] = []
        for sentence in text:
            for place, one in enumerate(sentence):
                if place == 0 or starts[one]:
                    words.append([])
                words[-1].append(one)
        assert hidden_words(words, row) == math.ceil(round(ratio * len(words), 6))


@bounded
@given(batches, st.integers(0, 2**32 - 1))
def test_a_permutation_moves_whole_sentences_and_nothing_else(batch: list, seed: int) -> None:
    texts = ragged(batch)
    before = texts.ids.copy()
    moved = permute_sentences(texts, keys_of(len(batch), seed))
    assert (texts.ids == before).all(), "the target must stay as it was"
    for text, row, flags in zip(
        batch, rows(moved.ids, moved.lengths), rows(moved.sentence_starts, moved.lengths), strict=True
    ):
        found = []
        for token, begins in zip(row, flags, strict=True):
            if begins:
                found.append([])
            found[-1].append(token)
        assert Counter(map(tuple, found)) == Counter(map(tuple, text))


def test_every_order_of_sentences_is_as_likely() -> None:
    batch = [[[10, 11], [12], [14, 15, 17]]] * 6000
    moved = permute_sentences(ragged(batch), keys_of(6000))
    counts = Counter(map(tuple, rows(moved.ids, moved.lengths)))
    orders = {tuple(token for part in order for token in part) for order in permutations(batch[0])}
    assert set(counts) == orders
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 20.5, "chi-square, 5 degrees, p = 0.001"


def test_span_lengths_follow_poisson() -> None:
    budgets = np.full(4000, 60)
    spans = draw_spans(budgets, keys_of(4000), poisson_table(3.5))
    assert (np.where(spans > 0, spans, 0).sum(axis=1) == budgets).all()
    # All but each text's last span, which is cut to fit, and those that stopped the drawing.
    first = spans[:, :8].ravel()
    assert (first >= 0).all()
    expected = [math.exp(-3.5) * 3.5**length / math.factorial(length) for length in range(10)]
    counts = [(first == length).sum() for length in range(10)] + [(first >= 10).sum()]
    shares = [*expected, 1 - sum(expected)]
    statistic = sum(
        (count - len(first) * share) ** 2 / (len(first) * share) for count, share in zip(counts, shares, strict=True)
    )
    assert statistic < 29.6, "chi-square with 10 degrees of freedom, p = 0.001"


@pytest.mark.parametrize("rate", [0.3, 3.5, 20.0])
def test_the_table_is_poissons(rate: float) -> None:
    table = poisson_table(rate)
    shares = np.diff(table, prepend=0.0)
    assert table[-1] == pytest.approx(1.0, abs=1e-9)
    assert (shares * np.arange(len(shares))).sum() == pytest.approx(rate, abs=1e-6)
    assert shares[1] == pytest.approx(rate * math.exp(-rate))


def long_texts(count: int, words: int = 100) -> Texts:
    """Texts of words of two tokens each."""
    return ragged([[[10, 11] * words]] * count)


def test_a_span_becomes_one_mask_and_empty_spans_insert_one() -> None:
    texts = long_texts(400)
    keys = keys_of(400)
    corrupted, lengths = infilling(replaced=0.0)(texts, keys)
    spans = draw_spans(np.full(400, 30), keys, poisson_table(3.5))
    masks = [row.count(MASK) for row in rows(corrupted, lengths)]
    assert masks == (spans >= 0).sum(axis=1).tolist()
    assert (lengths == 2 * 70 + np.array(masks)).all()
    assert 0.02 < (spans == 0).sum() / (spans >= 0).sum() < 0.045, "exp(-3.5) is 0.030"


def test_a_tenth_of_the_masks_become_ordinary_tokens() -> None:
    # All words are hidden, so that whatever stands in the output was a mask.
    corrupted, _ = infilling(mask_ratio=1.0)(long_texts(400), keys_of(400))
    replaced = corrupted[corrupted != MASK]
    assert len(replaced) / len(corrupted) == pytest.approx(0.1, abs=0.01)
    assert set(replaced.tolist()) <= set(ORDINARY.tolist())
    counts = np.bincount(replaced, minlength=VOCABULARY)[10:]
    expected = len(replaced) / len(ORDINARY)
    assert ((counts - expected) ** 2 / expected).sum() < 254, "chi-square with 189 degrees of freedom, p = 0.001"


@bounded
@given(batches, st.integers(0, 2**32 - 1), st.integers(0, 5))
def test_a_texts_noise_is_its_own(batch: list, seed: int, epoch: int) -> None:
    """Alone, in another order or among others, a text is corrupted in the same way."""
    infill = infilling()

    def corrupt(numbers: list[int]) -> dict[int, list[int]]:
        keys = example_keys(seed, np.full(len(numbers), epoch), np.array(numbers))
        texts = permute_sentences(ragged([batch[number] for number in numbers]), keys)
        return dict(zip(numbers, rows(*infill(texts, keys)), strict=True))

    together = corrupt(list(range(len(batch))))
    assert corrupt(list(reversed(range(len(batch))))) == together
    for number in range(len(batch)):
        assert corrupt([number])[number] == together[number]
    assert all(token == MASK or token >= 10 for row in together.values() for token in row)


def test_epochs_and_seeds_differ() -> None:
    texts = long_texts(1)
    outputs = {
        tuple(infilling()(texts, keys_of(1, seed, epoch))[0].tolist()) for seed in range(5) for epoch in range(5)
    }
    assert len(outputs) == 25
