"""Paths through the graph, against the reference figures and against an enumeration of every path."""

from itertools import combinations
from pathlib import Path

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from safetensors.torch import load_file
from torch import Tensor

from textbox_elmer.model.dag import (
    DECODINGS,
    best_path,
    path_log_likelihood_and_posterior,
    walk,
)

FIGURES = Path(__file__).parents[1] / "fixtures" / "dag"
TOLERANCE = 1e-4


@pytest.fixture(params=["small", "medium"])
def figures(request: pytest.FixtureRequest) -> dict[str, Tensor]:
    return load_file(FIGURES / f"{request.param}.safetensors")


def text_of(figures: dict[str, Tensor]) -> list[Tensor]:
    return [figures[name] for name in ("emissions", "transitions", "target_lengths", "canvas_lengths")]


def test_likelihood_and_posterior_are_the_reference(figures: dict[str, Tensor]) -> None:
    log_likelihood, posterior = path_log_likelihood_and_posterior(*text_of(figures))
    torch.testing.assert_close(log_likelihood, figures["expected.log_likelihood"], atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(posterior, figures["expected.posterior"], atol=TOLERANCE, rtol=0)


def test_the_best_path_is_the_reference(figures: dict[str, Tensor]) -> None:
    assert torch.equal(best_path(*text_of(figures)), figures["expected.best_path"])


@pytest.mark.parametrize("decoding", ["greedy", "lookahead", "viterbi"])
def test_the_walk_is_the_reference(figures: dict[str, Tensor], decoding: str) -> None:
    actual = walk(figures["token_log_probs"], figures["transitions"], figures["canvas_lengths"], decoding)
    assert torch.equal(actual, figures[f"expected.{decoding}"])


def test_another_walk_is_refused() -> None:
    with pytest.raises(ValueError, match="greedy, lookahead, viterbi"):
        walk(torch.zeros(1, 2), torch.zeros(1, 2, 2), torch.tensor([2]), "beam")


def paths(tokens: int, canvas: int) -> list[tuple[int, ...]]:
    """Every path of a text through the graph."""
    if canvas == 1:
        return [(0,)] if tokens == 1 else []
    return [(0, *inside, canvas - 1) for inside in combinations(range(1, canvas - 1), tokens - 2)] if tokens > 1 else []


def score(path: tuple[int, ...], emissions: Tensor, transitions: Tensor) -> Tensor:
    vertices = torch.tensor(path)
    emitted = emissions[torch.arange(len(path)), vertices].sum()
    return emitted + transitions[vertices[:-1], vertices[1:]].sum()


def enumerated(text: list[Tensor]) -> tuple[Tensor, Tensor, list[tuple[int, ...] | None]]:
    """Log-likelihood, posterior and likeliest path of each text, path by path, in double precision."""
    emissions, transitions, target_lengths, canvas_lengths = text
    emissions, transitions = emissions.double(), transitions.double()
    log_likelihoods, posterior, best = [], torch.zeros_like(emissions), []
    for row, (tokens, canvas) in enumerate(zip(target_lengths.tolist(), canvas_lengths.tolist(), strict=True)):
        all_paths = paths(tokens, canvas)
        scores = [score(path, emissions[row], transitions[row]) for path in all_paths]
        scores = torch.stack(scores) if scores else torch.tensor([-torch.inf]).double()
        log_likelihoods.append(scores.logsumexp(0))
        if log_likelihoods[-1] == -torch.inf:
            best.append(None)
            continue
        best.append(all_paths[int(scores.argmax())])
        for path, probability in zip(all_paths, (scores - log_likelihoods[-1]).exp().detach(), strict=True):
            posterior[row, torch.arange(tokens), torch.tensor(path)] += probability
    return torch.stack(log_likelihoods), posterior.detach(), best


def random_text(seed: int, spread: float = 2.0, missing: float = 0.3, batch: int = 4) -> list[Tensor]:
    """Texts whose padding is NaN, of all lengths, also too long ones, on graphs that lack edges."""
    draw = torch.Generator().manual_seed(seed)
    tokens, canvas = 5, 8
    emissions = torch.randn(batch, tokens, canvas, generator=draw) * spread - 2
    transitions = torch.randn(batch, canvas, canvas, generator=draw) * spread - 1
    transitions[torch.rand(batch, canvas, canvas, generator=draw) < missing] = -torch.inf
    emissions[torch.rand(batch, tokens, canvas, generator=draw) < missing / 4] = -torch.inf
    target_lengths = torch.randint(1, tokens + 1, (batch,), generator=draw)
    canvas_lengths = torch.randint(1, canvas + 1, (batch,), generator=draw)
    for row in range(batch):
        emissions[row, target_lengths[row] :] = torch.nan
        emissions[row, :, canvas_lengths[row] :] = torch.nan
        transitions[row, canvas_lengths[row] :] = torch.nan
        transitions[row, :, canvas_lengths[row] :] = torch.nan
    return [emissions, transitions, target_lengths, canvas_lengths]


def check(text: list[Tensor], tolerance: float) -> None:
    emissions, transitions, *lengths = text
    leaves = [emissions.clone().requires_grad_(), transitions.clone().requires_grad_()]
    log_likelihood, posterior = path_log_likelihood_and_posterior(*leaves, *lengths)
    slow_leaves = [leaf.detach().double().requires_grad_() for leaf in leaves]
    slow_log_likelihood, slow_posterior, best = enumerated([*slow_leaves, *lengths])
    torch.testing.assert_close(log_likelihood.double(), slow_log_likelihood, atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(posterior.double(), slow_posterior, atol=tolerance, rtol=0)
    # Each row counts differently, so that none gets another's gradient.
    factors = torch.arange(1, len(log_likelihood) + 1)
    gradients = torch.autograd.grad((log_likelihood * factors).sum(), leaves)
    possible = slow_log_likelihood > -torch.inf
    slow = [torch.zeros_like(leaf) for leaf in slow_leaves]
    if possible.any():
        slow = torch.autograd.grad((slow_log_likelihood * factors)[possible].sum(), slow_leaves, materialize_grads=True)
    for gradient, leaf, expected in zip(gradients, leaves, slow, strict=True):
        assert gradient.dtype == leaf.dtype
        # An enumerated path of probability 0 leaves NaN; its true gradient is 0, as that of what it does not visit.
        expected = expected.masked_fill(leaf == -torch.inf, 0).nan_to_num(0)
        rounding = 2.0**-7 if leaf.dtype == torch.bfloat16 else 0
        torch.testing.assert_close(gradient.double(), expected, atol=8 * tolerance, rtol=rounding)
    for path, expected in zip(best_path(*text).tolist(), best, strict=True):
        assert path == list(expected or ()) + [-1] * (len(path) - len(expected or ()))


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), missing=st.sampled_from([0.0, 0.3, 0.7]))
def test_likelihood_posterior_gradients_and_best_path_are_those_of_all_paths(seed: int, missing: float) -> None:
    check(random_text(seed, missing=missing), 1e-5)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32))
def test_numbers_out_of_the_range_of_probabilities(seed: int) -> None:
    check(random_text(seed, spread=60.0), 1e-4)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**32))
def test_bfloat16_is_computed_with_in_float32(seed: int) -> None:
    emissions, transitions, *lengths = random_text(seed)
    check([emissions.bfloat16(), transitions.bfloat16(), *lengths], 1e-5)


def test_mixed_precision_changes_nothing() -> None:
    leaves = [values.requires_grad_() for values in (torch.randn(2, 9, 20), torch.randn(2, 20, 20))]
    lengths = torch.tensor([9, 7]), torch.tensor([20, 16])
    log_likelihood, _ = path_log_likelihood_and_posterior(*leaves, *lengths)
    gradients = torch.autograd.grad(log_likelihood.sum(), leaves)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed, _ = path_log_likelihood_and_posterior(*leaves, *lengths)
        mixed_gradients = torch.autograd.grad(mixed.sum(), leaves)
    assert torch.equal(log_likelihood, mixed)
    assert all(torch.equal(a, b) for a, b in zip(gradients, mixed_gradients, strict=True))


@pytest.mark.parametrize("shift", [-300.0, -70.0, 40.0, 90.0])
def test_transitions_of_any_size(shift: float) -> None:
    emissions, transitions, *lengths = random_text(1, missing=0.0)
    check([emissions, transitions + shift, *lengths], 2e-4)


def test_float64_gradients() -> None:
    torch.manual_seed(0)
    emissions = torch.randn(3, 4, 7, dtype=torch.float64, requires_grad=True)
    transitions = torch.randn(3, 7, 7, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([4, 3, 2]), torch.tensor([7, 6, 7])
    assert torch.autograd.gradcheck(
        lambda e, t: path_log_likelihood_and_posterior(e, t, *lengths)[0], (emissions, transitions)
    )


def test_a_long_text_is_as_precise_as_logarithms_are() -> None:
    torch.manual_seed(0)
    tokens, canvas = 60, 200
    emissions = torch.randn(3, tokens, canvas) * 3 - 8
    # As before training: likely edges lead far to the right, where the rest of the text has no room.
    leftward = torch.ones(canvas, canvas).tril().bool()
    transitions = torch.randn(3, canvas, canvas).masked_fill(leftward, -1e9).log_softmax(-1)
    transitions = transitions.masked_fill(leftward, -torch.inf)
    target_lengths, canvas_lengths = torch.tensor([60, 45, 3]), torch.tensor([200, 120, 200])
    masses = emissions.double()[:, 0].index_fill(1, torch.arange(1, canvas), -torch.inf)
    expected = torch.zeros(3).double()
    for token in range(tokens):
        if token:
            masses = (masses[:, :, None] + transitions.double()).logsumexp(1) + emissions[:, token].double()
        here = masses.gather(1, canvas_lengths[:, None] - 1)[:, 0]
        expected = torch.where(target_lengths - 1 == token, here, expected)
    actual, _ = path_log_likelihood_and_posterior(emissions, transitions, target_lengths, canvas_lengths)
    torch.testing.assert_close(actual.double(), expected, atol=1e-4, rtol=0)


def test_an_impossible_text_leaves_the_others_gradient_alone() -> None:
    emissions = torch.zeros(3, 3, 4, requires_grad=True)
    transitions = torch.zeros(3, 4, 4)
    transitions[1, :, 3] = -torch.inf
    transitions.requires_grad_()
    lengths = torch.tensor([3, 3, 3]), torch.tensor([4, 4, 2])
    log_likelihood, _ = path_log_likelihood_and_posterior(emissions, transitions, *lengths)
    assert log_likelihood.tolist() == [pytest.approx(torch.tensor(2.0).log().item()), -torch.inf, -torch.inf]
    of_emissions, of_transitions = torch.autograd.grad(log_likelihood.logsumexp(0), (emissions, transitions))
    torch.testing.assert_close(of_emissions[0], torch.tensor([[1, 0, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0, 1]]))
    torch.testing.assert_close(of_transitions[0].sum(), torch.tensor(2.0))
    assert not of_emissions[1:].any()
    assert not of_transitions[1:].any()
    assert best_path(emissions, transitions, *lengths)[1:].tolist() == [[-1, -1, -1]] * 2


def all_walks(canvas: int) -> list[tuple[int, ...]]:
    return [path for tokens in range(1, canvas + 1) for path in paths(tokens, canvas)]


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32))
def test_walks_are_what_their_definitions_say(seed: int) -> None:
    _, transitions, _, canvas_lengths = random_text(seed)
    token_log_probs = torch.randn(transitions.shape[:2], generator=torch.Generator().manual_seed(seed))
    token_log_probs[torch.arange(8) >= canvas_lengths[:, None]] = torch.nan
    walks = {name: walk(token_log_probs, transitions, canvas_lengths, name) for name in DECODINGS}
    for row, canvas in enumerate(canvas_lengths.tolist()):
        edges, tokens = transitions[row], token_log_probs[row]
        for name, bonus in (("greedy", torch.zeros(8)), ("lookahead", tokens)):
            expected = [0]
            while expected[-1] != canvas - 1:
                onward = (edges[expected[-1]] + bonus)[expected[-1] + 1 : canvas]
                best = canvas - 1 if (onward == -torch.inf).all() else expected[-1] + 1 + int(onward.argmax())
                expected.append(best)
            assert walks[name][row].tolist() == expected + [-1] * (8 - len(expected)), name
        means = {path: score(path, tokens.expand(8, 8), edges) / len(path) for path in all_walks(canvas)}
        expected = max(means, key=means.get)
        if means[expected] == -torch.inf:
            expected = (0, canvas - 1)
        assert walks["viterbi"][row].tolist() == list(expected) + [-1] * (8 - len(expected))
