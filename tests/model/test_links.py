"""The graph's transitions, against attention written out vertex by vertex."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from textbox_elmer import ElmerConfig
from textbox_elmer.model.links import Links

WIDTH, HEADS = 8, 2


def drawn(seed: int, canvas: int, strength: float = 1.0) -> tuple[Links, Tensor, Tensor]:
    torch.manual_seed(seed)
    links = Links(ElmerConfig(d_model=WIDTH, decoder_attention_heads=HEADS, encoder_attention_heads=HEADS))
    return links, torch.randn(3, canvas, WIDTH) * strength, torch.randn(canvas, WIDTH)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32), lengths=st.lists(st.integers(1, 6), min_size=3, max_size=3))
def test_transitions_are_gated_attention_to_what_lies_behind(seed: int, lengths: list[int]) -> None:
    links, states, positions = drawn(seed, canvas=6)
    actual = links(states, positions, torch.tensor(lengths)).detach()
    for row, length in enumerate(lengths):
        expected = torch.full((6, 6), -torch.inf)
        vertices = torch.cat([states[row], positions], -1)
        for vertex in range(length - 1):
            gate = links.gate(vertices[vertex]).softmax(-1)
            total = torch.zeros(length - vertex - 1)
            for head in range(HEADS):
                part = slice(head * WIDTH // HEADS, (head + 1) * WIDTH // HEADS)
                query, keys = links.q_proj(vertices[vertex])[part], links.k_proj(vertices[vertex + 1 : length])[:, part]
                farther = torch.arange(1, length - vertex) * links.decay[head]
                total = total + gate[head] * (keys @ query / (WIDTH / HEADS) ** 0.5 - farther).softmax(-1)
            expected[vertex, vertex + 1 : length] = total.log().detach()
        torch.testing.assert_close(actual[row], expected, atol=1e-5, rtol=1e-5)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32), canvas=st.integers(1, 7), strength=st.sampled_from([0.1, 1.0, 30.0]))
def test_rows_add_up_to_1_and_the_last_vertex_leads_nowhere(seed: int, canvas: int, strength: float) -> None:
    links, states, positions = drawn(seed, canvas, strength)
    lengths = torch.tensor([canvas, max(canvas - 1, 1), 1])
    actual = links(states, positions, lengths)
    places = torch.arange(canvas)
    possible = (places[:, None] < places) & (places < lengths[:, None, None])
    assert (actual[~possible] == -torch.inf).all()
    assert actual[possible].isfinite().all()
    leads_on = places < lengths[:, None] - 1
    torch.testing.assert_close(actual.exp().sum(-1), leads_on.float(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_a_first_path_takes_steps_of_about_the_canvas_scale(scale: int) -> None:
    sizes = {"d_model": WIDTH, "decoder_attention_heads": 4, "encoder_attention_heads": 4}
    links = Links(ElmerConfig(**sizes, alignment="dag", canvas_scale=scale))
    canvas = 16 * scale
    even = torch.zeros(1, canvas, WIDTH)
    for layer in (links.q_proj, links.k_proj, links.gate):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    steps = links(even, even[0], torch.tensor([canvas])).exp()[0]
    places = torch.arange(canvas)
    mean = (steps * (places - places[:, None]).clamp(min=0)).sum(-1)[: canvas // 2].mean()
    assert scale <= mean <= 5 * scale


@pytest.mark.parametrize("strength", [1.0, 100.0])
def test_gradients_are_finite_under_bfloat16(strength: float) -> None:
    links, states, positions = drawn(0, 7, strength)
    states.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        actual = links(states, positions, torch.tensor([7, 4, 1]))
    assert actual.dtype == torch.float32
    actual[actual.isfinite()].sum().backward()
    for gradient in (states.grad, *(parameter.grad for parameter in links.parameters())):
        assert gradient.isfinite().all()
        assert gradient.any() or strength > 1  # where one vertex is certain, there is nothing to learn
    assert not states.grad[2].any()


def test_16_bit_weights() -> None:
    links, states, positions = drawn(0, 5)
    expected = links(states, positions, torch.tensor([5, 3, 2]))
    actual = links.bfloat16()(states.bfloat16(), positions, torch.tensor([5, 3, 2]))
    torch.testing.assert_close(actual.exp(), expected.exp(), atol=0.05, rtol=0)
