"""Packed products are the plain ones."""

import pytest
import torch
from torch import nn

from textbox_elmer.model.packing import Linear, multiplies_bfloat16, pack, suits


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 8), (5, 8), (2, 3, 8), (3, 400, 8), (0, 8)])
def test_products_are_the_same(shape: tuple[int, ...], bias: bool, precision: torch.dtype) -> None:
    torch.manual_seed(0)
    layer, states = Linear(8, 20, bias=bias).to(precision), torch.randn(*shape).to(precision)
    expected = nn.functional.linear(states, layer.weight, layer.bias)
    layer.packed = pack(layer)
    with torch.no_grad():
        torch.testing.assert_close(layer(states), expected)
        torch.testing.assert_close(layer(states[..., :1, :]), expected[..., :1, :])
        assert layer(states.double().to(precision)).shape == expected.shape
    layer.packed = None
    assert torch.equal(layer(states), expected)


def test_what_cannot_be_packed() -> None:
    assert suits(Linear(4, 4).weight)
    assert suits(Linear(4, 4).bfloat16().weight) == multiplies_bfloat16()
    assert not suits(Linear(4, 4).half().weight)
