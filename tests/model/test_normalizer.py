"""The normalizer of a pass over the vocabulary, against logits that are all held at once."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor
from torch.nn import functional as F

from textbox_elmer.model import normalizer
from textbox_elmer.model.normalizer import normalize


def drawn(seed: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """States, weight, bias with words that are out of the question, and what the loss says of each state."""
    draw = torch.Generator().manual_seed(seed)
    states = torch.randn(2, 5, 8, generator=draw, dtype=torch.float64).to(dtype).requires_grad_()
    weight = torch.randn(17, 8, generator=draw, dtype=torch.float64).to(dtype).requires_grad_()
    bias = torch.randn(17, generator=draw, dtype=torch.float64).to(dtype)
    bias[3], bias[8] = -1e4, -torch.inf
    shares = torch.randn(2, 5, generator=draw, dtype=torch.float64).to(dtype)
    shares[0, 2] = shares[1, 4] = 0.0
    return states, weight, bias, shares


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32), dtype=st.sampled_from([torch.float32, torch.float64]), rows=st.integers(1, 11))
def test_value_words_and_gradients_are_logsumexps(seed: int, dtype: torch.dtype, rows: int) -> None:
    states, weight, bias, shares = drawn(seed, dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(normalizer, "LOGITS_AT_A_TIME", rows * len(weight))
        found = normalize(states, weight, bias)
        actual = torch.autograd.grad((found.log_total * shares).sum(), (states, weight))
    logits = F.linear(states, weight, bias)
    total = logits.logsumexp(-1)
    torch.testing.assert_close(found.log_total, total)
    assert torch.equal(found.tokens, logits.argmax(-1))
    torch.testing.assert_close(found.best, logits.amax(-1))
    assert not found.best.requires_grad
    expected = torch.autograd.grad((total * shares).sum(), (states, weight))
    torch.testing.assert_close(actual, expected)
    assert not actual[0][shares == 0].any()


def test_float64_gradients() -> None:
    states, weight, bias, _ = drawn(1, torch.float64)
    assert torch.autograd.gradcheck(lambda s, w: normalize(s, w, bias).log_total, (states, weight))


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    states, weight, bias, shares = drawn(2)
    whole = normalize(states, weight, bias)
    of_whole = torch.autograd.grad((whole.log_total * shares).sum(), (states, weight))
    monkeypatch.setattr(normalizer, "LOGITS_AT_A_TIME", 1)
    parts = normalize(states, weight, bias)
    of_parts = torch.autograd.grad((parts.log_total * shares).sum(), (states, weight))
    torch.testing.assert_close(parts.log_total, whole.log_total)
    assert torch.equal(parts.tokens, whole.tokens)
    torch.testing.assert_close(of_parts, of_whole)


def test_a_weight_without_gradient_gets_none() -> None:
    states, weight, bias, shares = drawn(3)
    frozen = weight.detach()
    (normalize(states, frozen, bias).log_total * shares).sum().backward()
    (expected,) = torch.autograd.grad((F.linear(states, frozen, bias).logsumexp(-1) * shares).sum(), states)
    torch.testing.assert_close(states.grad, expected)
    assert frozen.grad is None


def test_no_gradient_at_all_is_zero() -> None:
    states, weight, bias, shares = drawn(4)
    (normalize(states, weight, bias).log_total * shares * 0).sum().backward()
    assert not states.grad.any()
    assert not weight.grad.any()


def test_autocast_multiplies_in_bfloat16_and_sums_in_float32() -> None:
    states, weight, bias, shares = drawn(5)
    with torch.autocast("cpu", torch.bfloat16):
        found = normalize(states, weight, bias)
    assert found.log_total.dtype == torch.float32
    # Exactly: the product in bfloat16, all that follows in float32.
    logits = F.linear(states.bfloat16(), weight.bfloat16()).float() + bias
    torch.testing.assert_close(found.log_total, logits.logsumexp(-1))
    assert torch.equal(found.tokens, logits.argmax(-1))
    actual = torch.autograd.grad((found.log_total * shares).sum(), (states, weight))
    expected = torch.autograd.grad((F.linear(states, weight, bias).logsumexp(-1) * shares).sum(), (states, weight))
    for ours, theirs in zip(actual, expected, strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, theirs, atol=0.03 * theirs.abs().max().item(), rtol=0)


def test_16_bit_weights_get_16_bit_gradients() -> None:
    states, weight, bias, shares = (part.detach().bfloat16() for part in drawn(6))
    states.requires_grad_(), weight.requires_grad_()
    found = normalize(states, weight, bias)
    assert found.log_total.dtype == torch.float32
    (found.log_total * shares).sum().backward()
    assert states.grad.dtype == weight.grad.dtype == torch.bfloat16
    assert states.grad.isfinite().all()
    assert weight.grad.any()
