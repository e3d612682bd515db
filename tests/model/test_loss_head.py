"""Losses in chunks, with gradients formed in the forward pass, against autograd over all logits."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from textbox_elmer import ElmerForConditionalGeneration
from textbox_elmer.model import ElmerConfig, loss_head
from textbox_elmer.model.loss_head import LossHead

VOCABULARY, WIDTH = 23, 6
bounded = settings(deadline=None, derandomize=True, max_examples=60)


@pytest.fixture(params=[1, VOCABULARY * 3, 2**24], autouse=True, scope="module")
def logits_at_a_time(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loss_head, "LOGITS_AT_A_TIME", request.param)
        yield


def draw(seed: int, batch: int, length: int, known: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    weight = torch.randn(VOCABULARY, WIDTH, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(VOCABULARY, (batch, length)).masked_fill(torch.rand(batch, length) > known, -100)
    return weight, torch.randn(1, VOCABULARY, dtype=torch.float64), labels


def plain(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, labels: torch.Tensor, eps: float) -> object:
    logits = (F.linear(states, weight) + bias).flatten(0, 1)
    return F.cross_entropy(logits, labels.flatten(), reduction="sum", label_smoothing=eps) / max(
        int((labels >= 0).sum()), 1
    )


@bounded
@given(
    seed=st.integers(0, 10**6),
    batch=st.integers(1, 3),
    length=st.integers(1, 7),
    exits=st.integers(1, 4),
    known=st.sampled_from([0.0, 0.3, 1.0]),
    smoothing=st.sampled_from([0.0, 0.1]),
    scale=st.sampled_from([1.0, -2.5]),
    frozen=st.booleans(),
)
def test_losses_and_gradients_are_autograds(
    seed: int, batch: int, length: int, exits: int, known: float, smoothing: float, scale: float, frozen: bool
) -> None:
    weight, bias, labels = draw(seed, batch, length, known)
    weight.requires_grad_(not frozen)
    states = [torch.randn(batch, length, WIDTH, dtype=torch.float64, requires_grad=True) for _ in range(exits)]
    head = LossHead(weight, bias, labels, smoothing, exits)
    for each in states[:-1]:
        assert head.predict(each).tolist() == F.linear(each, weight).argmax(-1).tolist()
    head.exit(states[-1])
    loss = head.loss()
    each_loss = torch.stack([plain(each, weight, bias, labels, smoothing) for each in states])
    torch.testing.assert_close(loss, each_loss.mean(), check_dtype=False, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(head.means(), each_loss.detach(), check_dtype=False, rtol=1e-5, atol=1e-6)
    wanted = [*states, *([] if frozen else [weight])]
    expected = torch.autograd.grad(each_loss.mean() * scale, wanted)
    found = torch.autograd.grad(loss * scale, wanted)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


def test_a_second_backward_is_refused() -> None:
    """Its gradient was given away; a wrong one would be worse."""
    weight, bias, labels = draw(0, 2, 5, 1.0)
    head = LossHead(weight, bias, labels, 0.0)
    head.exit(torch.randn(2, 5, WIDTH, dtype=torch.float64, requires_grad=True))
    loss = head.loss()
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="works once"):
        loss.backward()


def test_without_gradients_none_are_formed() -> None:
    weight, bias, labels = draw(0, 2, 5, 1.0)
    with torch.no_grad():
        head = LossHead(weight, bias, labels, 0.0)
        head.exit(torch.randn(2, 5, WIDTH, dtype=torch.float64))
        assert head.weight_gradient is None
        assert not head.loss().requires_grad


def test_low_precision_sums_in_float32() -> None:
    weight, bias, labels = draw(3, 4, 200, 1.0)
    states = torch.randn(4, 200, WIDTH)
    low = weight.detach().bfloat16().requires_grad_()
    head = LossHead(low, bias.bfloat16(), labels, 0.0)
    head.exit(states.bfloat16())
    head.loss().backward()
    exact = weight.detach().bfloat16().double().requires_grad_()
    plain(states.bfloat16().double(), exact, bias.bfloat16().double(), labels, 0.0).backward()
    assert low.grad.dtype == torch.bfloat16
    assert (low.grad - exact.grad).norm() < 0.02 * exact.grad.norm()


def test_autocast_trains(logits_at_a_time: None) -> None:
    torch.manual_seed(0)
    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 2, "vocab_size": 40, "encoder_ffn_dim": 16}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "decoder_ffn_dim": 16, "dropout": 0.0}
    model = ElmerForConditionalGeneration(ElmerConfig(**sizes, **heads)).train()
    ids, labels = torch.randint(3, 40, (3, 7)), torch.randint(3, 40, (3, 7))
    model.config.gold_mixing = 1.0
    gradients = {}
    for lowered in (False, True):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=lowered):
            output = model(ids, labels=labels, return_logits=False)
        assert output.logits is None
        output.loss.backward()
        gradients[lowered] = model.model.shared.weight.grad.clone()
    assert (gradients[True] - gradients[False]).norm() < 0.1 * gradients[False].norm()


def test_logits_are_never_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss_head, "LOGITS_AT_A_TIME", VOCABULARY * 4)
    held = []
    linear = F.linear
    monkeypatch.setattr(loss_head.F, "linear", lambda *given: held.append(linear(*given)) or held[-1])
    weight, bias, labels = draw(0, 5, 7, 1.0)
    LossHead(weight, bias, labels, 0.1).exit(torch.randn(5, 7, WIDTH, dtype=torch.float64))
    assert len(held) == 9
    assert max(len(logits) for logits in held) == 4
