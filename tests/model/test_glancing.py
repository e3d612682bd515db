"""Glancing: what is shown, and that what is shown is not learnt from, against all ways to write a text."""

import pytest
import torch
from torch import Tensor

from textbox_elmer import ElmerForConditionalGeneration
from textbox_elmer.model.alignment import CtcAlignment, GraphAlignment
from textbox_elmer.model.emissions import Emissions
from textbox_elmer.model.glancing import Glance, force, glance, glancing_ratio

from .small import BOS, EOS, IDS, MASK, dense_forward, small_model, transitions_of
from .ways import Ways, blank_ways, graph_ways, writes_of

LABELS = torch.tensor([[9, 5, 9, 2], [8, 2, -100, -100], [3, 10, 2, -100]])
MODELS = [
    {"alignment": "position", "copy_source": True, "canvas_input": "source"},
    {"alignment": "position"},
    {"alignment": "dag", "copy_source": True, "canvas_input": "source"},
    {"alignment": "dag", "normalize_before": True},
    {"alignment": "ctc", "copy_source": True, "canvas_input": "source"},
    {"alignment": "ctc"},
]
of_models = pytest.mark.parametrize("changes", MODELS, ids=lambda changes: "-".join(map(str, changes.values())))


def model_of(**changes: object) -> ElmerForConditionalGeneration:
    scale = {} if changes["alignment"] == "position" else {"canvas_scale": 2}
    return small_model(**scale | changes)


def test_as_many_are_shown_as_the_ratio_says() -> None:
    torch.manual_seed(0)
    places = torch.tensor([[-1, 0, -1, 1, 2, 3, -1, 4]] * 2)
    targets = torch.tensor([[3, 4, 5, 6, 7]] * 2)
    # Of five tokens, four are wrong in the first text and one in the second.
    tokens = torch.tensor([[9, 9, 9, 9, 9, 9, 9, 7], [3, 3, 4, 4, 9, 6, 7, 7]])
    for ratio, counts in [(0.0, [0, 0]), (0.25, [1, 0]), (0.5, [2, 0]), (0.75, [3, 1]), (1.0, [4, 1])]:
        shown = glance(places, tokens, targets, ratio)
        assert shown.revealed.sum(-1).tolist() == counts
        assert not (shown.revealed & (places < 0)).any()
        assert torch.equal(shown.places, places.masked_fill(~shown.revealed, -1))


def test_every_aligned_position_is_shown_equally_often() -> None:
    torch.manual_seed(0)
    places = torch.tensor([[-1, 0, 1, -1, 2, 3]]).expand(4000, -1)
    tokens, targets = torch.zeros_like(places), torch.tensor([[3, 4, 5, 6]]).expand(4000, -1)
    shares = glance(places, tokens, targets, 0.5).revealed.float().mean(0)
    assert torch.allclose(shares, torch.tensor([0, 0.5, 0.5, 0, 0.5, 0.5]), atol=0.04)


def test_what_is_shown_is_sure_and_has_no_gradient() -> None:
    log_probs = torch.randn(1, 2, 4, requires_grad=True)
    shown = Glance(torch.tensor([[False, True, False, True]]), torch.tensor([[-1, 1, -1, 0]]))
    forced = force(log_probs, shown)
    assert forced[0, :, 1].tolist() == [-torch.inf, 0]
    assert forced[0, :, 3].tolist() == [0, -torch.inf]
    assert torch.equal(forced[..., ::2], log_probs[..., ::2])
    forced.exp().sum().backward()
    assert log_probs.grad[..., 1::2].eq(0).all()
    assert log_probs.grad[..., ::2].ne(0).all()


@of_models
def test_nothing_is_shown_by_ratio_0_or_outside_of_training(changes: dict) -> None:
    model = model_of(**changes, dropout=0.3)

    def loss(training: bool, **options: float) -> Tensor:
        torch.manual_seed(3)
        return model.train(training)(IDS, labels=LABELS, **options).loss

    assert torch.equal(loss(True, glancing=0.0), loss(True))
    assert not torch.equal(loss(True, glancing=1.0), loss(True))
    assert torch.equal(loss(False, glancing=1.0), loss(False))


def ways_of(
    alignment: str, log_probs: Tensor, transitions: Tensor | None, text: list[int], shown: Tensor | None = None
) -> Ways:
    """All ways to write a text, or those that write what is shown where it is: places in the text, -1 for none."""
    ways = all_ways(alignment, log_probs, transitions, text)
    if shown is None:
        return ways
    # A path need not visit what is shown.
    agrees = (shown < 0) | (ways.places == shown) | ((alignment == "dag") & (ways.places < 0))
    return Ways(*(part[agrees.all(-1)] for part in ways))


def all_ways(alignment: str, log_probs: Tensor, transitions: Tensor | None, text: list[int]) -> Ways:
    if alignment == "dag":
        return graph_ways(log_probs, transitions, text)
    if alignment == "ctc":
        return blank_ways(log_probs, text)
    places = torch.cat([torch.arange(len(text)), torch.full((len(log_probs) - len(text),), -1)])
    return Ways(places[None], log_probs[torch.arange(len(text)), text].sum()[None])


def forced(log_probs: Tensor, shown: Tensor) -> Tensor:
    """The same log-probabilities, but sure of what is shown; `[canvas, vocabulary]` and ids `[canvas]`, -1 for none."""
    sure = torch.where(shown[:, None] == torch.arange(log_probs.shape[-1]), 0.0, -1e9)
    return torch.where((shown >= 0)[:, None], sure, log_probs)


@of_models
@pytest.mark.parametrize("exit_mode", ["soft", "last"])
@pytest.mark.parametrize("ratio", [0.4, 1.0])
def test_the_loss_is_that_of_the_canvas_that_shows_some(changes: dict, exit_mode: str, ratio: float) -> None:
    model = model_of(**changes, exit_mode=exit_mode, gold_mixing=0.0).train()
    canvases: list[Tensor] = []
    hook = model.model.shared.register_forward_pre_hook(lambda _, call: canvases.append(call[0]))
    dense = dense_forward(model, labels=LABELS, glancing=ratio)
    hook.remove()
    exits = 3 if exit_mode == "soft" else 1
    assert len(dense.exits) == 2 * exits
    # Embedded are the source, the empty canvas, what its early exits predict, and the canvas that shows some.
    before, after = canvases[1], canvases[1 + exits]
    assert before[:, 0].eq(BOS).all()
    assert before[:, 1:].eq(MASK).all()
    alignment, total, count = model.config.alignment, torch.zeros(exits), 0
    trial = transitions_of(model, dense.states[exits - 1])
    for row, label in enumerate(LABELS):
        text = label[label >= 0].tolist()
        words = [token for token in text if token != EOS] if alignment == "dag" else text
        log_probs = dense.exits[exits - 1][row]
        ways = ways_of(alignment, log_probs, None if trial is None else trial[row], text)
        best = ways.places[ways.scores.argmax()]
        gold = torch.tensor(words)[best]  # where nothing is aligned, any
        wrong = ((best >= 0) & (log_probs.argmax(-1) != gold)).sum().item()
        shown = torch.where(before[row] == after[row], -1, after[row])
        assert (shown >= 0).sum().item() == round(ratio * wrong)
        assert (best[shown >= 0] >= 0).all()
        assert torch.equal(shown[shown >= 0], gold[shown >= 0])
        glanced = [forced(exit_[row], shown) for exit_ in dense.exits[exits:]]
        places = torch.where(shown >= 0, best, -1)
        links = None if dense.transitions is None else dense.transitions[row]
        last = ways_of(alignment, glanced[-1], links, text, places)
        if alignment == "dag":
            writes = writes_of(last, len(words), len(before[row])) * (shown < 0)
            losses = [(writes * exit_[:, words].T).sum() for exit_ in glanced[:-1]]
        else:
            losses = [ways_of(alignment, exit_, None, text, places).scores.logsumexp(0) for exit_ in glanced[:-1]]
        total = total - torch.stack([*losses, last.scores.logsumexp(0)])
        count += len(text) - (int((shown >= 0).sum()) if alignment == "position" else 0)
    torch.testing.assert_close(dense.output.exit_losses, (total / max(count, 1)).detach(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(dense.output.loss, (total / max(count, 1)).mean(), atol=1e-4, rtol=1e-4)


def test_shown_tokens_leave_the_loss_of_one_token_a_position() -> None:
    model = model_of(alignment="position", exit_mode="last").train()
    # With everything wrong, everything is shown: nothing is left to learn.
    torch.nn.init.constant_(model.final_logits_bias[0, 7:8], 100.0)
    loss = model(IDS, labels=LABELS, glancing=1.0).loss
    assert loss.item() == 0
    loss.backward()
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in model.parameters())


@pytest.mark.parametrize("alignment", ["dag", "ctc"])
def test_a_text_that_what_is_shown_leaves_no_way_costs_nothing(alignment: str) -> None:
    torch.manual_seed(0)
    labels, canvas = torch.tensor([[5, 6, 2], [5, 6, 2]]), torch.tensor([7, 7])
    targets = torch.randn(2, 3, 7).log_softmax(1)
    if alignment == "dag":
        texts, targets = GraphAlignment(labels, canvas, EOS), targets[:, :2]
    else:
        texts = CtcAlignment(labels, canvas, EOS)
    transitions = torch.randn(2, 7, 7).log_softmax(-1).requires_grad_()
    exits = [
        Emissions(targets.clone().requires_grad_(), torch.randn(2, 7).requires_grad_(), torch.zeros(2, 7).long())
        for _ in range(2)
    ]
    # The whole canvas shows the first text's second word: there is no place for its first one.
    places = torch.full((2, 7), -1)
    places[0] = 1
    places[1, 2], places[1, 4] = 0, 1
    losses, writes = texts.losses(exits, transitions, Glance(places >= 0, places))
    assert losses.isfinite().all()
    losses.sum().backward()
    for exit_ in exits:
        assert not exit_.targets.grad[0].any()
        assert exit_.targets.grad.isfinite().all()
    if alignment == "dag":
        assert not writes[0].any()
        assert not transitions.grad[0].any()
        assert transitions.grad[1].any()
    else:
        assert not exits[-1].blanks.grad[0].any()
        assert exits[-1].blanks.grad[1].any()


def test_the_share_changes_evenly_and_is_nothing_unless_asked_for() -> None:
    assert glancing_ratio(0.0, None, None) == glancing_ratio(0.7, None, None) == 0
    assert [glancing_ratio(progress, 0.5, None) for progress in (0.0, 0.5, 1.0, 2.0)] == pytest.approx(
        [0.5, 0.3, 0.1, 0.1]
    )
    assert glancing_ratio(0.25, 0.0, 0.8) == pytest.approx(0.2)
