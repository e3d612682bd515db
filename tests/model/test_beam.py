"""Beam search over the graph, against an enumeration of every path and every text that it writes."""

from collections import defaultdict
from itertools import combinations, pairwise, product

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from textbox_elmer.model.beam import beam_search

CANVAS, WORDS = 6, 3
ENOUGH_BEAMS = 3**4


def graph(seed: int, missing: float) -> list[Tensor]:
    """Random graphs whose padding is NaN, and whose rows have vocabularies of different sizes."""
    draw = torch.Generator().manual_seed(seed)
    token_probs = torch.randn(3, CANVAS, WORDS, generator=draw).mul(2).softmax(-1)
    words = torch.tensor([[7, 4, 9], [5, 6, -1], [8, 2, 3]])
    transitions = torch.randn(3, CANVAS, CANVAS, generator=draw).mul(2).log_softmax(-1)
    transitions[torch.rand(transitions.shape, generator=draw) < missing] = -torch.inf
    canvas_lengths = torch.randint(1, CANVAS + 1, (3,), generator=draw)
    token_probs[words.eq(-1)[:, None].expand_as(token_probs)] = torch.nan
    token_probs[torch.arange(CANVAS) >= canvas_lengths[:, None]] = torch.nan
    for row, canvas in enumerate(canvas_lengths.tolist()):
        transitions[row, canvas:] = transitions[row, :, canvas:] = torch.nan
    return [token_probs, words, transitions, canvas_lengths]


def all_texts(row: int, token_probs: Tensor, words: Tensor, transitions: Tensor, canvas_lengths: Tensor) -> dict:
    """The probability of each path of each text: `{text: {vertices: probability}}`."""
    last = int(canvas_lengths[row]) - 1
    if last == 0:
        return {(): {(): 1.0}}
    vocabulary = [word for word in words[row].tolist() if word != -1]
    found: dict = defaultdict(dict)
    for inside in (path for length in range(last) for path in combinations(range(1, last), length)):
        path = (0, *inside, last)
        moves = sum(transitions[row, a, b].item() for a, b in pairwise(path))
        for places in product(range(len(vocabulary)), repeat=len(inside)):
            probability = torch.tensor(moves).double().exp().item()
            for vertex, place in zip(inside, places, strict=True):
                probability *= token_probs[row, vertex, place].item()
            if probability:
                found[tuple(vocabulary[place] for place in places)][inside] = probability
    return found


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**32),
    missing=st.sampled_from([0.0, 0.4]),
    length_penalty=st.sampled_from([0.0, 1.0, 2.0]),
    max_tokens=st.sampled_from([None, 2]),
)
def test_a_beam_that_is_wide_enough_finds_the_best_text(
    seed: int, missing: float, length_penalty: float, max_tokens: int | None
) -> None:
    inputs = graph(seed, missing)
    texts = beam_search(*inputs, ENOUGH_BEAMS, length_penalty, max_tokens)
    for row in range(3):
        found = {
            text: paths
            for text, paths in all_texts(row, *inputs).items()
            if max_tokens is None or len(text) <= max_tokens
        }
        log_probs = {text: torch.tensor(sum(paths.values())).log().item() for text, paths in found.items()}
        expected = max(log_probs, key=lambda text: log_probs[text] / (len(text) + 1) ** length_penalty, default=())
        padding = [-1] * (texts.words.shape[1] - len(expected))
        assert texts.words[row].tolist() == list(expected) + padding
        assert texts.log_probs[row].item() == pytest.approx(log_probs.get(expected, -torch.inf), abs=1e-4)
        if found:
            likeliest = max(found[expected], key=found[expected].get)
            assert texts.vertices[row].tolist() == list(likeliest) + padding


def test_paths_that_write_the_same_text_are_added_up() -> None:
    # Two paths write [5] with 0.3 each; the best single path writes [6] with 0.4.
    transitions = torch.tensor([[0, 0.3, 0.3, 0.4, 0], *[[0, 0, 0, 0, 1]] * 3, [0] * 5]).log()[None]
    token_probs = torch.tensor([[0, 0], [1, 0], [1, 0], [0, 1], [0, 0]])[None]
    texts = beam_search(token_probs, torch.tensor([[5, 6]]), transitions, torch.tensor([5]), num_beams=2)
    assert texts.words.tolist() == [[5]]
    assert texts.log_probs.exp().tolist() == [pytest.approx(0.6)]


def test_a_long_text_does_not_underflow() -> None:
    canvas = 300
    transitions = torch.full((1, canvas, canvas), -torch.inf)
    transitions[0, torch.arange(canvas - 1), torch.arange(1, canvas)] = -3.0
    token_probs = torch.full((1, canvas, 2), 0.01)
    token_probs[..., 1] = 0.02
    texts = beam_search(token_probs, torch.tensor([[3, 4]]), transitions, torch.tensor([canvas]), num_beams=3)
    assert texts.words.tolist() == [[4] * (canvas - 2)]
    expected = -3.0 * (canvas - 1) + (canvas - 2) * torch.tensor(0.02).log().item()
    assert texts.log_probs.item() == pytest.approx(expected, abs=1e-2)
