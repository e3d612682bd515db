"""Paths through the graph, against the reference figures and against an enumeration of every path."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from textbox_elmer.model.dag import (
    best_path,
    path_log_likelihood,
    path_log_likelihood_and_posterior,
    path_posterior,
    walk,
)

FIGURES = Path(__file__).parents[1] / "fixtures" / "dag"
TOLERANCE = 1e-4


@pytest.fixture(params=["small", "medium"])
def figures(request: pytest.FixtureRequest) -> dict[str, Tensor]:
    return load_file(FIGURES / f"{request.param}.safetensors")


def text_of(figures: dict[str, Tensor]) -> list[Tensor]:
    return [figures[name] for name in ("emissions", "transitions", "target_lengths", "canvas_lengths")]


def test_the_likelihood_is_the_reference(figures: dict[str, Tensor]) -> None:
    actual = path_log_likelihood(*text_of(figures))
    torch.testing.assert_close(actual, figures["expected.log_likelihood"], atol=TOLERANCE, rtol=0)


def test_the_posterior_is_the_reference(figures: dict[str, Tensor]) -> None:
    actual = path_posterior(*text_of(figures))
    torch.testing.assert_close(actual, figures["expected.posterior"], atol=TOLERANCE, rtol=0)


def test_the_best_path_is_the_reference(figures: dict[str, Tensor]) -> None:
    assert torch.equal(best_path(*text_of(figures)), figures["expected.best_path"])


@pytest.mark.parametrize("decoding", ["greedy", "lookahead", "viterbi"])
def test_the_walk_is_the_reference(figures: dict[str, Tensor], decoding: str) -> None:
    actual = walk(figures["token_log_probs"], figures["transitions"], figures["canvas_lengths"], decoding)
    assert torch.equal(actual, figures[f"expected.{decoding}"])


def test_likelihood_and_posterior_come_together(figures: dict[str, Tensor]) -> None:
    log_likelihood, posterior = path_log_likelihood_and_posterior(*text_of(figures))
    assert torch.equal(log_likelihood, path_log_likelihood(*text_of(figures)))
    assert torch.equal(posterior, path_posterior(*text_of(figures)))


def test_another_walk_is_refused() -> None:
    with pytest.raises(ValueError, match="greedy, lookahead, viterbi"):
        walk(torch.zeros(1, 2), torch.zeros(1, 2, 2), torch.tensor([2]), "beam")
