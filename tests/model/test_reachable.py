"""A walk goes where it would if all vertices were read, however few are."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from textbox_elmer.model import ElmerGeneration, modeling, reachable
from textbox_elmer.model.dag import STEPWISE, walk
from textbox_elmer.model.reachable import read_reachable
from textbox_elmer.model.reading import Words

from .small import IDS, PAD, small_model

bounded = settings(deadline=None, derandomize=True, max_examples=150)


class Head:
    """Vertices' words and log-probabilities as given; remembers which were asked for.

    A state is the place of its vertex in both lists.
    """

    def __init__(self, tokens: Tensor, log_probs: Tensor) -> None:
        self.tokens, self.log_probs = tokens.flatten(), log_probs.flatten()
        self.asked: list[int] = []

    def read(self, states: Tensor, real: Tensor) -> Words:
        places = states[..., 0].long()
        self.asked += places[real].tolist()
        nothing = torch.zeros_like(places, dtype=torch.bool)
        return Words(self.tokens[places], self.log_probs[places], nothing.float(), nothing)


def transitions_of(drawn: torch.Generator, batch: int, size: int, sharpness: float) -> Tensor:
    """Return transitions that like steps of four vertices, more or less."""
    places = torch.arange(size)
    steps = -0.5 * (places - places[:, None] - 4).abs()
    scores = sharpness * (steps + torch.randn(batch, size, size, generator=drawn))
    return scores.masked_fill(places[:, None] >= places, -torch.inf).log_softmax(-1).nan_to_num(nan=-torch.inf)


def same_walks(seed: int, batch: int, size: int, sharpness: float, doubt: float, decoding: str) -> Head:
    """Compare the walk over what is read with that over everything, and return who was asked."""
    drawn = torch.Generator().manual_seed(seed)
    transitions = transitions_of(drawn, batch, size, sharpness)
    log_probs = -doubt * torch.rand(batch, size, generator=drawn)
    tokens = torch.randint(100, (batch, size), generator=drawn)
    head = Head(tokens, log_probs)
    states = torch.arange(batch * size).float().view(batch, size, 1)
    words = read_reachable(states, head, transitions, decoding)
    lengths, all_read = torch.full((batch,), size), log_probs.clone()
    all_read[:, 0] = all_read[:, -1] = 0.0
    path = walk(all_read, transitions, lengths, decoding)
    assert walk(words.log_probs, transitions, lengths, decoding).tolist() == path.tolist()
    for row, place in enumerate(path):
        inside = place[(place > 0) & (place < size - 1)]
        assert words.tokens[row, inside].tolist() == tokens[row, inside].tolist()
        assert words.log_probs[row, inside].tolist() == log_probs[row, inside].tolist()
    assert len(head.asked) == len(set(head.asked)), "a vertex is read once"
    return head


@bounded
@given(
    seed=st.integers(0, 10**6),
    batch=st.integers(1, 4),
    size=st.integers(2, 40),
    sharpness=st.sampled_from([0.0, 1.0, 4.0, 200.0]),
    doubt=st.sampled_from([0.0, 0.1, 3.0, 50.0]),
    likely=st.sampled_from([0.0, 0.2, 2.0]),
    decoding=st.sampled_from(STEPWISE),
)
def test_walks_are_those_over_all_vertices(
    seed: int, batch: int, size: int, sharpness: float, doubt: float, likely: float, decoding: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reachable, "LIKELY", likely)
        same_walks(seed, batch, size, sharpness, doubt, decoding)


def test_few_are_read_where_the_way_is_clear() -> None:
    asked = same_walks(0, batch=1, size=60, sharpness=60.0, doubt=1.0, decoding="lookahead").asked
    assert 5 < len(asked) < 20


def test_greedy_reads_its_path_alone() -> None:
    drawn = torch.Generator().manual_seed(3)
    path = walk(torch.zeros(1, 40), transitions_of(drawn, 1, 40, 1.0), torch.tensor([40]), "greedy")
    assert len(same_walks(3, 1, 40, 1.0, 3.0, "greedy").asked) == int((path >= 0).sum()) - 2


@bounded
@given(
    seed=st.integers(0, 10**4),
    decoding=st.sampled_from(STEPWISE),
    exit_mode=st.sampled_from(["last", "soft", "hard"]),
    copy_source=st.booleans(),
    rows=st.integers(1, 3),
    length=st.integers(1, 9),
)
def test_texts_are_those_of_a_canvas_that_is_read_whole(
    seed: int, decoding: str, exit_mode: str, copy_source: bool, rows: int, length: int
) -> None:
    model = small_model(seed, alignment="dag", canvas_scale=4, canvas_input="source", copy_source=copy_source)
    ids = IDS[:rows]
    options = {"decoding": decoding, "exit_mode": exit_mode, "max_length": length, "output_scores": True}

    def write() -> ElmerGeneration:
        return model.generate(ids, (ids != PAD).long(), return_dict_in_generate=True, **options)

    found = write()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modeling, "STEPWISE", ())
        whole = write()
    for name in ("sequences", "vertices", "exit_layers", "settled_layers", "copied"):
        assert getattr(found, name).tolist() == getattr(whole, name).tolist()
    torch.testing.assert_close(found.scores, whole.scores)


def test_nobody_asks_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the host would have to wait to learn how many vertices there are, all of them are read."""
    model = small_model(1, alignment="dag", canvas_scale=4)
    asked: list[Callable] = []
    monkeypatch.setattr(
        modeling, "read_reachable", lambda *given: asked.append(read_reachable) or read_reachable(*given)
    )
    before = model.generate(IDS, max_length=5)
    assert asked
    monkeypatch.setattr(modeling, "may_ask", lambda states: False)
    asked.clear()
    assert model.generate(IDS, max_length=5).tolist() == before.tolist()
    assert not asked
