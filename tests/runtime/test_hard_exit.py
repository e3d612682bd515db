"""Hard exit made ready by a run: a classifier that has learnt, a threshold that keeps what was asked for."""

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import tiny
from textbox_elmer import ElmerForConditionalGeneration, run_textbox
from textbox_elmer.errors import UserError
from textbox_elmer.runtime.hard_exit import agree, bounds

HARD = {"exit_mode": "hard", "exit_criterion": "classifier"}


def test_a_run_fits_the_classifier_and_keeps_it(workplace: Path) -> None:
    results = run_textbox("ELMER", "toy", config_dict=tiny(**HARD, filename="hard"))
    assert "exit" not in results
    best = workplace / "saved" / "hard" / "checkpoint_best"
    weights = load_file(best / "model.safetensors")
    assert weights["exit_classifier.weight"].any()
    assert "Exit classifier, layer 0: predicts the last layer's word at" in (best.parent / "run.log").read_text()
    # A test of it fits nothing anew.
    again = run_textbox(
        "ELMER", "toy", config_dict=tiny(**HARD, do_train=False, model_path=str(best), filename="again")
    )
    assert "exit" not in again
    assert not (workplace / "saved" / "again" / "checkpoint_best").exists()
    assert again["metrics"] == results["metrics"]


def test_a_checkpoint_gets_a_classifier_and_a_threshold_without_training(workplace: Path) -> None:
    run_textbox("ELMER", "toy", config_dict=tiny(exit_mode="last", filename="plain"))
    plain = workplace / "saved" / "plain" / "checkpoint_best"
    before = load_file(plain / "model.safetensors")
    changes = HARD | {"exit_target": 0.3, "do_train": False, "model_path": str(plain), "filename": "hard"}
    results = run_textbox("ELMER", "toy", config_dict=tiny(**changes))
    run = workplace / "saved" / "hard"
    found = results["exit"]
    assert json.loads((run / "results.json").read_text())["exit"] == found
    assert found["at_least"] <= found["agreement"] <= found["at_most"]
    assert (found["criterion"], found["target"]) == ("classifier", 0.3)
    after = load_file(run / "checkpoint_best" / "model.safetensors")
    assert set(after) - set(before) == {"exit_classifier.weight", "exit_classifier.bias"}
    assert all(torch.equal(after[name], value) for name, value in before.items())
    model = ElmerForConditionalGeneration.from_pretrained(run / "checkpoint_best")
    assert (model.config.exit_mode, model.config.exit_threshold) == ("hard", found["threshold"])
    assert "validation texts" in (run / "run.log").read_text()


@pytest.mark.parametrize("criterion", ["entropy", "saturation"])
def test_too_few_texts_for_a_target_let_nobody_leave(criterion: str, workplace: Path) -> None:
    changes = {"exit_mode": "hard", "exit_criterion": criterion, "exit_target": 0.999, "filename": "hard"}
    results = run_textbox("ELMER", "toy", config_dict=tiny(**changes))
    assert results["exit"]["agreement"] == 1.0
    assert results["exit"]["threshold"] == {"entropy": 0.0, "saturation": 1.01}[criterion]
    assert "No token leaves early" in (workplace / "saved" / "hard" / "run.log").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"exit_mode": "soft"}, "exit_target is for the threshold of ELMER's hard exit"),
        ({"exit_mode": "hard", "exit_threshold": 0.3}, "exit_target chooses exit_threshold, which is given as well"),
    ],
)
def test_a_target_without_a_threshold_to_choose_is_refused(changes: dict, message: str, workplace: Path) -> None:
    with pytest.raises(UserError, match=message):
        run_textbox("ELMER", "toy", config_dict=tiny(exit_target=0.9, **changes))
    assert not (workplace / "saved").exists()


def test_agreement_counts_tokens_at_their_places() -> None:
    assert agree([5, 6, 2], [5, 6, 2]) == 1
    assert agree([5, 7, 6, 2], [5, 6, 2]) == 0.25
    assert agree([5, 6], [5, 6, 7, 2]) == 0.5


@pytest.mark.parametrize("mean", [0.0, 0.3, 0.97, 1.0])
@pytest.mark.parametrize("count", [1, 30, 2000])
def test_bounds_hold_for_coins(mean: float, count: int) -> None:
    """A coin at the lower bound has so many heads no more often than the confidence says; at the upper one, tails."""
    low, high = bounds(mean, count)
    assert 0 <= low <= mean <= high <= 1
    if mean == 1.0:
        assert low == pytest.approx(0.05 ** (1 / count))
    heads = math.ceil(mean * count)
    coin = torch.distributions.Binomial(count, probs=torch.tensor(low, dtype=torch.double).clamp(1e-12, 1))
    if low > 0:
        assert coin.log_prob(torch.arange(heads, count + 1).double()).logsumexp(0).exp() <= 0.05 + 1e-6
    tails = math.floor(mean * count)
    coin = torch.distributions.Binomial(count, probs=torch.tensor(high, dtype=torch.double).clamp(0, 1 - 1e-12))
    if high < 1:
        assert coin.log_prob(torch.arange(tails + 1).double()).logsumexp(0).exp() <= 0.05 + 1e-6
