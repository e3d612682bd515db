"""Packed products are the plain ones, and are made of the weights as they are."""

import copy

import pytest
import torch
from torch import nn

from textbox_elmer.model.packing import Linear, packed


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 8), (5, 8), (2, 3, 8), (3, 400, 8), (0, 8)])
def test_products_are_the_same(shape: tuple[int, ...], bias: bool) -> None:
    torch.manual_seed(0)
    layer, states = Linear(8, 20, bias=bias), torch.randn(*shape)
    expected = nn.functional.linear(states, layer.weight, layer.bias)
    with torch.no_grad(), packed(layer):
        assert layer.packed is not None
        torch.testing.assert_close(layer(states), expected)
        torch.testing.assert_close(layer(states[..., :1, :]), expected[..., :1, :])
        assert layer(states.bfloat16().double().to(torch.float32)).shape == expected.shape
    assert layer.packed is None
    assert torch.equal(layer(states), expected)


def test_changed_weights_are_packed_anew() -> None:
    layer, states = Linear(8, 20), torch.randn(3, 8)
    changes = (
        lambda: None,
        lambda: layer.weight.data.mul_(2),  # leaves the weight's version as it was
        lambda: setattr(layer.weight, "data", layer.weight.data + 1),
        lambda: layer.load_state_dict(Linear(8, 20).state_dict()),
        lambda: layer.bias.data.add_(1),
    )
    for change in changes:
        change()
        with torch.no_grad(), packed(layer):
            torch.testing.assert_close(layer(states), nn.functional.linear(states, layer.weight, layer.bias))


def test_a_layer_is_packed_once() -> None:
    layer = Linear(8, 20)
    with packed(layer):
        first = layer.packed
    with packed(layer):
        assert layer.packed is first


def test_nothing_is_packed_where_it_does_not_suit() -> None:
    with packed(low := Linear(4, 4).bfloat16()):
        assert low.packed is None
    layer = Linear(4, 4)
    with torch.autocast("cpu", torch.bfloat16), packed(layer):
        assert layer.packed is None


def test_a_fault_leaves_nothing_packed() -> None:
    layer = Linear(4, 4)
    with pytest.raises(RuntimeError, match="in between"), packed(layer):
        raise RuntimeError("in between")
    assert layer.packed is None


def test_packs_are_neither_copied_nor_saved() -> None:
    layer = Linear(4, 4)
    with packed(layer):
        pass
    assert set(layer.state_dict()) == {"weight", "bias"}
    twin = copy.deepcopy(layer)
    with torch.no_grad():
        twin.weight.zero_()
    with torch.no_grad(), packed(twin):
        assert torch.equal(twin(torch.ones(1, 4))[0], twin.bias)
