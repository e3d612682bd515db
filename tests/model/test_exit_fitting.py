"""What hard exit decides by learns from the model's own layers."""

import pytest
import torch

from textbox_elmer.model import fit_exit_classifier

from .small import IDS, PAD, small_model

MASK = (IDS != PAD).long()


@pytest.mark.parametrize("alignment", ["position", "dag", "ctc"])
def test_a_fitted_classifier_tells_when_a_layer_predicts_what_the_last_one_does(alignment: str) -> None:
    model = small_model(alignment=alignment, exit_mode="hard", exit_criterion="classifier", canvas_length=10)
    others = {name: value.clone() for name, value in model.state_dict().items() if "classifier" not in name}
    fitted = fit_exit_classifier(model, [(IDS, MASK)] * 2)
    assert len(fitted) == 2
    states, words = model.read_layers(IDS, MASK)
    ends = words[-1] == 2
    read = (ends.cumsum(-1) - ends.long() == 0) if alignment == "position" else torch.ones_like(ends)
    for layer, found in enumerate(fitted):
        same = (words[layer] == words[-1])[read]
        assert found.settled == pytest.approx(same.float().mean().item())
        told = (model.exit_classifier(states[layer], layer) > 0)[read]
        assert found.told == pytest.approx((told == same).float().mean().item())
        assert found.told > max(found.settled, 1 - found.settled) or found.told == 1
    assert all(torch.equal(value, others[name]) for name, value in model.state_dict().items() if name in others)


def test_layers_are_read_as_forward_reads_the_last() -> None:
    model = small_model(exit_mode="last")
    states, words = model.read_layers(IDS, MASK)
    canvas = torch.full((3, 40), 11)
    canvas[:, 0] = 0
    with torch.no_grad():
        assert torch.equal(words[-1], model(IDS, MASK, decoder_input_ids=canvas).logits.argmax(-1))
    assert states.shape == (3, 3, 40, 16)


@pytest.mark.parametrize(
    ("criterion", "sources", "message"),
    [
        ("entropy", [(IDS, MASK)], "A model with exit_criterion=entropy has no classifier to fit."),
        ("classifier", [], "There are no sources to fit the exit classifier on."),
    ],
)
def test_what_cannot_be_fitted_is_refused(criterion: str, sources: list, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        fit_exit_classifier(small_model(exit_criterion=criterion), sources)
    assert str(caught.value) == message
