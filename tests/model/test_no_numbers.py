"""A model whose weights are no numbers writes nothing, by whichever way it would write."""

from typing import Any

import pytest
import torch

from tests.model.small import IDS, small_model
from textbox_elmer.model.finite import NoNumbersError, are_numbers
from textbox_elmer.model.loading import plain_reason
from textbox_elmer.model.screening import Screen


@pytest.mark.parametrize("prepared", [False, True])
@pytest.mark.parametrize("exit_mode", ["soft", "hard", "last"])
@pytest.mark.parametrize(
    "ways",
    [{"alignment": "position"}, {"alignment": "position", "copy_source": True}, {"alignment": "dag"}],
    ids=["position", "copying", "dag"],
)
@pytest.mark.parametrize("spoilt", ["encoder", "decoder"])
def test_it_says_so(ways: dict[str, Any], exit_mode: str, prepared: bool, spoilt: str) -> None:
    model = small_model(exit_mode=exit_mode, **ways)
    with torch.no_grad():
        getattr(model.model, spoilt).layers[0].fc1.weight.fill_(torch.nan)
    if prepared:
        model.prepare_for_inference()
    with pytest.raises(NoNumbersError, match="its weights are none, or too large"):
        model.generate(IDS)


def test_no_screen_is_made_of_a_vocabulary_that_is_no_numbers() -> None:
    weight = torch.ones(70, 8)
    weight[-1] = torch.nan
    with pytest.raises(NoNumbersError, match="vocabulary"):
        Screen(weight)


def test_what_a_weight_may_be() -> None:
    good = torch.tensor([1e5, -3.0])
    assert are_numbers([good, torch.tensor([1, 2]), torch.zeros(0)])
    for bad in (torch.nan, torch.inf, -torch.inf, 1e11, -1e11):
        assert not are_numbers([good, torch.tensor([1.0, bad, 2.0])])


def test_torchs_advice_is_not_passed_on() -> None:
    advice = RuntimeError("Weights only load failed. (1) Re-running `torch.load` with `weights_only` set to `False`")
    assert plain_reason(advice) == "it is damaged, or holds more than numbers"
    assert plain_reason(OSError("no\nroom")) == "no room"
