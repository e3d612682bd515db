"""The exit rules, checked against what their definitions say token by token."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from textbox_elmer import ElmerForConditionalGeneration
from textbox_elmer.model.criteria import Step
from textbox_elmer.model.exits import leave_at, leave_when_sure

from .small import entropy

IDS = torch.tensor([[0, 17, 33, 71, 2], [0, 90, 45, 2, 1]])
LABELS = torch.tensor([[5, 6, 7, 2], [8, 2, 1, 1]])


@pytest.fixture
def model(bart_folder: Path) -> ElmerForConditionalGeneration:
    return ElmerForConditionalGeneration.from_pretrained(bart_folder)


def toy_layers(count: int) -> list:
    """Layers in which every position sees all others, as in attention."""
    torch.manual_seed(0)
    weights = [torch.randn(6, 6) for _ in range(count)]
    return [lambda h, w=weight: torch.tanh(h @ w + h.mean(1, keepdim=True)) for weight in weights]


class Toy:
    """A layer that can be asked for some of the states."""

    def __init__(self, layer: Callable[[Tensor], Tensor]) -> None:
        self.layer = layer

    def over(self, hidden: Tensor, queries: int) -> Callable[[Tensor], Tensor]:
        moved = self.layer(hidden)

        def of(some: Tensor) -> Tensor:
            assert some.shape[1] == queries
            places = (some[:, :, None] == hidden[:, None]).all(-1).int().argmax(-1)
            return moved.gather(1, places[..., None].expand(-1, -1, hidden.shape[-1]))

        return of


def test_a_token_keeps_its_state_above_its_exit() -> None:
    layers, hidden = toy_layers(3), torch.randn(1, 4, 6)
    seen: list[Tensor] = []
    recording = [lambda h, layer=layer: (seen.append(h), layer(h))[1] for layer in layers]
    left = leave_at(recording, hidden, torch.tensor([[0, 2, 1, 0]]))
    first = layers[0](hidden)
    assert torch.equal(seen[1][:, [0, 3]], first[:, [0, 3]])
    assert torch.equal(seen[2][:, [0, 3]], first[:, [0, 3]])
    assert torch.equal(left[:, [0, 3]], first[:, [0, 3]])
    assert torch.equal(seen[2][:, 2], layers[1](seen[1])[:, 2])
    assert torch.equal(left[:, 1], layers[2](seen[2])[:, 1])


def test_no_gradient_flows_through_the_copy() -> None:
    layers, hidden = toy_layers(2), torch.randn(1, 3, 6, requires_grad=True)
    left = leave_at(layers, hidden, torch.tensor([[0, 0, 1]]))
    states = layers[0](hidden)
    # Token 2 leaves above tokens 0 and 1: it reads their copies, but its loss must not reach their states.
    (gradient,) = torch.autograd.grad(left[0, 2].sum(), hidden)
    copies = torch.cat([states[:, :2].detach(), states[:, 2:]], dim=1)
    (expected,) = torch.autograd.grad(layers[1](copies)[0, 2].sum(), hidden)
    assert torch.allclose(gradient, expected)


def test_hard_exit_leaves_at_the_first_confident_layer() -> None:
    layers, hidden, head = toy_layers(4), torch.randn(3, 5, 6), lambda h: 4 * h
    threshold = 0.6

    def is_sure(step: Step) -> Tensor:
        return entropy(head(step.after)) < threshold

    passage = leave_when_sure([Toy(layer) for layer in layers], hidden, is_sure)
    left, exit_layers = passage.finish(Toy(layers[-1])), passage.exit_layers
    # The same rule, one token at a time and with nothing skipped.
    state, left_at = hidden, torch.full((3, 5), -1)
    for index, layer in enumerate(layers):
        above = layer(state)
        state = torch.where((left_at >= 0)[..., None], state, above)
        sure = (entropy(head(state)) < threshold) | torch.tensor(index == 3)
        left_at = torch.where((left_at < 0) & sure, index, left_at)
    assert torch.equal(exit_layers, left_at)
    assert torch.allclose(left, state, atol=1e-6)
    assert len(left_at.unique()) > 2, "the case must exercise several layers"


def test_hard_exit_limits(model: ElmerForConditionalGeneration) -> None:
    never = model.generate(IDS, max_length=6, exit_mode="hard", exit_threshold=0.0, return_dict_in_generate=True)
    last = model.generate(IDS, max_length=6, exit_mode="last", return_dict_in_generate=True)
    assert torch.equal(never.sequences, last.sequences)
    at_once = model.generate(IDS, max_length=6, exit_mode="hard", exit_threshold=1e9, return_dict_in_generate=True)
    assert set(at_once.exit_layers.unique().tolist()) <= {0, -1}


def test_hard_training_draws_exit_layers(model: ElmerForConditionalGeneration) -> None:
    model.config.exit_mode = "hard"
    model.train()
    torch.manual_seed(0)
    drawn = [model(IDS, labels=LABELS).exit_layers for _ in range(20)]
    assert set(torch.stack(drawn).unique().tolist()) == set(range(model.config.decoder_layers))
    given = torch.tensor([[0, 1, 2, 3], [3, 0, 0, 0]])
    output = model(IDS, labels=LABELS, exit_layers=given)
    assert torch.equal(output.exit_layers, given)


def test_losses_by_exit_layer_add_up(model: ElmerForConditionalGeneration) -> None:
    exit_layers = torch.tensor([[0, 1, 1, 3], [3, 0, 0, 0]])
    output = model(IDS, labels=LABELS, exit_layers=exit_layers)
    assert output.exit_losses.shape == (4,)
    assert output.exit_losses.isnan().tolist() == [False, False, True, False]
    counts = torch.tensor([2, 2, 0, 2])  # the last two labels of the second row are padding
    assert torch.allclose((output.exit_losses.nan_to_num() * counts).sum() / 6, output.loss, atol=1e-5)


def test_gold_mixing_happens_in_training_alone(model: ElmerForConditionalGeneration) -> None:
    model.config.gold_mixing = 1.0
    other_labels = LABELS.flip(0)
    with torch.no_grad():
        model.eval()
        assert torch.equal(model(IDS, labels=LABELS).logits, model(IDS, labels=other_labels).logits)
        model.train()
        assert not torch.equal(model(IDS, labels=LABELS).logits, model(IDS, labels=other_labels).logits)


def test_label_smoothing_enters_every_exit(model: ElmerForConditionalGeneration) -> None:
    output = model(IDS, labels=LABELS, label_smoothing=0.1)
    labels = LABELS.masked_fill(LABELS == 1, -100)
    last = torch.nn.functional.cross_entropy(output.logits.flatten(0, 1), labels.flatten(), label_smoothing=0.1)
    assert torch.allclose(output.exit_losses[-1], last)
    assert torch.allclose(output.loss, output.exit_losses.mean())


def test_an_exit_layer_that_does_not_exist_is_refused(model: ElmerForConditionalGeneration) -> None:
    with pytest.raises(ValueError, match="between 0 and 3"):
        model(IDS, labels=LABELS, exit_layers=torch.full_like(LABELS, 4))
