"""Alignments with blanks, against torch's own loss and against an enumeration of every alignment."""

from itertools import pairwise, product

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor
from torch.nn import functional as F

from textbox_elmer.model.ctc import best_alignment, collapse, ctc_loss

BLANK = 0


def texts(seed: int, batch: int = 4, canvas: int = 5, tokens: int = 3) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Logits over a tiny vocabulary, labels with many repeats, and lengths from the shortest to too long."""
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, canvas, 4, generator=draw) * 2
    labels = torch.randint(1, 4, (batch, tokens), generator=draw)
    target_lengths = torch.randint(0, tokens + 1, (batch,), generator=draw)
    canvas_lengths = torch.randint(1, canvas + 1, (batch,), generator=draw)
    labels[torch.arange(tokens) >= target_lengths[:, None]] = -100
    return logits, labels, target_lengths, canvas_lengths


def gather(log_probs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    indices = labels.clamp(min=0)[:, None].expand(-1, log_probs.shape[1], -1)
    return log_probs.gather(2, indices), log_probs[..., BLANK]


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32))
def test_loss_and_gradient_are_torchs(seed: int) -> None:
    logits, labels, target_lengths, canvas_lengths = texts(seed)
    logits.requires_grad_()
    log_probs = logits.log_softmax(-1)
    losses = ctc_loss(*gather(log_probs, labels), labels, target_lengths, canvas_lengths)
    # Without `zero_infinity`, torch's gradient of an impossible text is NaN.
    theirs = F.ctc_loss(
        log_probs.transpose(0, 1),
        labels.clamp(min=1),
        canvas_lengths,
        target_lengths,
        BLANK,
        reduction="none",
        zero_infinity=True,
    )
    torch.testing.assert_close(losses.masked_fill(losses == torch.inf, 0), theirs)
    (gradient,) = torch.autograd.grad(losses.sum(), logits, retain_graph=True)
    (expected,) = torch.autograd.grad(theirs.sum(), logits)
    torch.testing.assert_close(gradient, expected)


def alignments(
    row: int, canvas: int, gathered: Tensor, blank: Tensor, text: list[int]
) -> list[tuple[float, list[int]]]:
    """Every alignment of a text with its score; an alignment says which of the text's tokens each position emits."""
    found = []
    for emitted in product(range(-1, len(text)), repeat=canvas):
        tokens = [BLANK if index < 0 else text[index] for index in emitted]
        written = [
            index for at, index in enumerate(emitted) if index >= 0 and (at == 0 or tokens[at] != tokens[at - 1])
        ]
        # The same token at two positions side by side must also be the same place in the text.
        merged = all(a == b for a, b in pairwise(emitted) if a >= 0 <= b and text[a] == text[b])
        if merged and written == list(range(len(text))):
            scores = [blank[row, at] if index < 0 else gathered[row, at, index] for at, index in enumerate(emitted)]
            found.append((float(sum(scores)), list(emitted)))
    return found


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**32), missing=st.sampled_from([0.0, 0.2]))
def test_loss_gradient_and_best_alignment_are_those_of_all_alignments(seed: int, missing: float) -> None:
    logits, labels, target_lengths, canvas_lengths = texts(seed)
    # Not normalized, with impossible entries, and with padding that is NaN.
    gathered, blank = (values.clone() for values in gather(logits, labels))
    gathered[torch.rand(gathered.shape, generator=torch.Generator().manual_seed(seed)) < missing] = -torch.inf
    gathered.transpose(1, 2)[torch.arange(3) >= target_lengths[:, None]] = torch.nan
    outside = torch.arange(5) >= canvas_lengths[:, None]
    gathered[outside], blank[outside] = torch.nan, torch.nan
    gathered.requires_grad_()
    blank.requires_grad_()
    losses = ctc_loss(gathered, blank, labels, target_lengths, canvas_lengths)
    factors = torch.arange(1.0, 5.0)
    of_gathered, of_blank = torch.autograd.grad((losses * factors)[losses < torch.inf].sum(), (gathered, blank))
    best = best_alignment(gathered, blank, labels, target_lengths, canvas_lengths)
    for row, (tokens, canvas) in enumerate(zip(target_lengths.tolist(), canvas_lengths.tolist(), strict=True)):
        found = alignments(row, canvas, gathered.detach(), blank.detach(), labels[row, :tokens].tolist())
        scores = torch.tensor([score for score, _ in found] or [-torch.inf]).double()
        total = scores.logsumexp(0)
        assert losses[row].item() == pytest.approx(-total.item(), abs=1e-4)
        expected_of_gathered, expected_of_blank = torch.zeros(5, 3).double(), torch.zeros(5).double()
        expected_best = [-1] * 5
        if total > -torch.inf:
            for probability, (_, emitted) in zip((scores - total).exp().tolist(), found, strict=True):
                for at, index in enumerate(emitted):
                    here = expected_of_blank[at : at + 1] if index < 0 else expected_of_gathered[at, index : index + 1]
                    here -= probability * factors[row].item()
            expected_best[:canvas] = max(found)[1]
        torch.testing.assert_close(of_gathered[row].double(), expected_of_gathered, atol=1e-4, rtol=0)
        torch.testing.assert_close(of_blank[row].double(), expected_of_blank, atol=1e-4, rtol=0)
        assert best[row].tolist() == expected_best


def test_float64_gradients() -> None:
    torch.manual_seed(0)
    gathered = torch.randn(2, 6, 3, dtype=torch.float64, requires_grad=True)
    blank = torch.randn(2, 6, dtype=torch.float64, requires_grad=True)
    labels, lengths = torch.tensor([[1, 1, 2], [3, 1, -100]]), (torch.tensor([3, 2]), torch.tensor([6, 4]))
    assert torch.autograd.gradcheck(lambda g, b: ctc_loss(g, b, labels, *lengths), (gathered, blank))


def test_an_impossible_text_has_no_gradient() -> None:
    gathered = torch.zeros(2, 3, 2, dtype=torch.bfloat16, requires_grad=True)
    blank = torch.zeros(2, 3, dtype=torch.bfloat16, requires_grad=True)
    # Equal neighbours need a blank between them: two positions are not enough.
    labels, lengths = torch.tensor([[5, 5], [5, 5]]), (torch.tensor([2, 2]), torch.tensor([2, 3]))
    losses = ctc_loss(gathered, blank, labels, *lengths)
    assert losses.tolist() == [torch.inf, 0]
    of_gathered, of_blank = torch.autograd.grad(losses.sum(), (gathered, blank))
    assert of_gathered.dtype == of_blank.dtype == torch.bfloat16
    assert of_gathered.tolist() == [[[0, 0]] * 3, [[-1, 0], [0, 0], [0, -1]]]
    assert of_blank.tolist() == [[0, 0, 0], [0, -1, 0]]
    assert best_alignment(gathered, blank, labels, *lengths).tolist() == [[-1, -1, -1], [0, -1, 1]]


def test_collapse() -> None:
    kept = collapse(torch.tensor([[0, 5, 5, 0, 5, 6, 0], [7, 7, 7, 8, 0, 0, 8]]), BLANK)
    assert kept.long().tolist() == [[0, 1, 0, 0, 1, 1, 0], [1, 0, 0, 1, 0, 0, 1]]
