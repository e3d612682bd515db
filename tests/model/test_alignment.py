"""The losses of the three alignments through the whole model, against an enumeration of every way to write a text."""

import pytest
import torch
from torch import Tensor

from textbox_elmer import ElmerForConditionalGeneration

from .small import EOS, IDS, MASK, PAD, Dense, dense_forward, small_model
from .ways import blank_ways, graph_ways, writes_of

# Repeats, words that the source has and words that it has not, and texts of different lengths.
LABELS = torch.tensor([[4, 9, 9, 2], [8, 2, -100, -100], [6, 3, 2, -100]])
ALIGNMENTS = ("position", "dag", "ctc")
MODELS = [
    {"alignment": "position", "copy_source": True},
    {"alignment": "position"},
    {"alignment": "dag", "copy_source": True, "canvas_input": "source"},
    {"alignment": "dag", "normalize_before": True},
    {"alignment": "ctc", "copy_source": True, "canvas_input": "source"},
    {"alignment": "ctc", "normalize_before": True},
]


def model_of(**changes: object) -> ElmerForConditionalGeneration:
    scale = {} if changes["alignment"] == "position" else {"canvas_scale": 2}
    return small_model(**scale | changes)


def expected_losses(dense: Dense, alignment: str, labels: Tensor, lengths: list[int] | None = None) -> Tensor:
    """Each exit's mean loss per token, `[exits]`."""
    totals = [torch.zeros(()) for _ in dense.exits]
    for row, label in enumerate(labels):
        text = label[label >= 0].tolist()
        canvas = slice(None if lengths is None else lengths[row])
        exits = [exit_[row, canvas] for exit_ in dense.exits]
        if not text:
            continue
        if alignment == "position":
            found = [exit_[torch.arange(len(text)), text].sum() for exit_ in exits]
        elif alignment == "ctc":
            found = [blank_ways(exit_, text).scores.logsumexp(0) for exit_ in exits]
        else:
            words = [token for token in text if token != EOS]
            ways = graph_ways(exits[-1], dense.transitions[row, canvas, canvas], text)
            writes = writes_of(ways, len(words), len(exits[-1]))
            found = [*((writes * exit_[:, words].T).sum() for exit_ in exits[:-1]), ways.scores.logsumexp(0)]
        totals = [total - one for total, one in zip(totals, found, strict=True)]
    return torch.stack(totals) / (labels >= 0).sum()


def gradients(loss: Tensor, model: ElmerForConditionalGeneration) -> dict[str, Tensor]:
    names, parameters = zip(*model.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return {
        name: torch.zeros_like(parameter) if gradient is None else gradient
        for name, parameter, gradient in zip(names, parameters, found, strict=True)
    }


@pytest.mark.parametrize("exit_mode", ["soft", "last"])
@pytest.mark.parametrize("changes", MODELS, ids=lambda changes: "-".join(map(str, changes.values())))
def test_losses_and_gradients_are_those_of_all_ways(changes: dict, exit_mode: str) -> None:
    model = model_of(**changes, exit_mode=exit_mode)
    dense = dense_forward(model, labels=LABELS)
    expected = expected_losses(dense, model.config.alignment, LABELS)
    torch.testing.assert_close(dense.output.logits.softmax(-1), dense.exits[-1].exp(), atol=1e-5, rtol=1e-4)
    assert len(expected) == (3 if exit_mode == "soft" else 1)
    torch.testing.assert_close(dense.output.exit_losses, expected.detach(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(dense.output.loss, expected.mean(), atol=1e-5, rtol=1e-4)
    actual, theirs = gradients(dense.output.loss, model), gradients(expected.mean(), model)
    for name, gradient in actual.items():
        torch.testing.assert_close(
            gradient, theirs[name], atol=2e-5, rtol=2e-3, msg=lambda text, n=name: f"{n}: {text}"
        )


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_padding_of_labels_by_its_id_means_the_same(alignment: str) -> None:
    model = model_of(alignment=alignment, copy_source=True)
    torch.testing.assert_close(
        model(IDS, labels=LABELS.masked_fill(LABELS < 0, PAD)).loss, model(IDS, labels=LABELS).loss
    )


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("exit_mode", ["soft", "last"])
def test_rows_without_labels_give_no_loss_and_no_gradient(alignment: str, exit_mode: str) -> None:
    model = model_of(alignment=alignment, copy_source=True, exit_mode=exit_mode)
    empty = torch.full_like(LABELS, -100)
    output = model(IDS, labels=empty)
    assert output.loss.item() == 0
    assert not any(gradient.any() for gradient in gradients(output.loss, model).values())
    # Beside others, such a row changes nothing.
    both = model(torch.cat([IDS, IDS[:1]]), labels=torch.cat([LABELS, empty[:1]]))
    alone = model(IDS, labels=LABELS)
    torch.testing.assert_close(both.loss, alone.loss)
    torch.testing.assert_close(gradients(both.loss, model), gradients(alone.loss, model), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("changes", MODELS, ids=lambda changes: "-".join(map(str, changes.values())))
def test_a_batch_is_the_mean_of_its_texts_weighted_by_tokens(changes: dict) -> None:
    model = model_of(**changes)
    batch = model(IDS, (IDS != PAD).long(), labels=LABELS)
    total = torch.zeros_like(batch.exit_losses)
    for ids, label in zip(IDS, LABELS, strict=True):
        ids = ids[ids != PAD][None]
        total += model(ids, labels=label[None]).exit_losses * (label >= 0).sum()
    torch.testing.assert_close(batch.exit_losses, total / (LABELS >= 0).sum())


@pytest.mark.parametrize("changes", MODELS[2:], ids=lambda changes: "-".join(map(str, changes.values())))
def test_a_shorter_canvas_in_a_batch_is_as_if_alone(changes: dict) -> None:
    model = model_of(**changes)
    lengths = [8, 4, 6]
    canvas = torch.full((3, 8), MASK)
    canvas[:, 0] = 0
    own = (torch.arange(8) < torch.tensor(lengths)[:, None]).long()
    dense = dense_forward(model, labels=LABELS, decoder_input_ids=canvas, decoder_attention_mask=own)
    expected = expected_losses(dense, model.config.alignment, LABELS, lengths)
    torch.testing.assert_close(dense.output.exit_losses, expected.detach(), atol=1e-5, rtol=1e-4)
    total = torch.zeros_like(expected)
    for ids, label, length in zip(IDS, LABELS, lengths, strict=True):
        ids, label = ids[ids != PAD][None], label[label >= 0][None]
        total += model(ids, labels=label, decoder_input_ids=canvas[:1, :length]).exit_losses * label.shape[1]
    torch.testing.assert_close(dense.output.exit_losses, total / (LABELS >= 0).sum(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("alignment", ["dag", "ctc"])
def test_a_canvas_has_as_many_positions_as_its_mask(alignment: str) -> None:
    model, canvas = model_of(alignment=alignment), torch.full((3, 10), MASK)
    canvas[:, 0] = 0
    own = (torch.arange(10) < torch.tensor([10, 6, 8])[:, None]).long()
    laid = model(IDS, labels=LABELS, decoder_input_ids=canvas, decoder_attention_mask=own)
    by_itself = model(IDS, labels=LABELS, decoder_attention_mask=own)
    assert torch.equal(by_itself.logits, laid.logits)
    assert by_itself.loss == laid.loss


@pytest.mark.parametrize(("alignment", "needed"), [("dag", 5), ("ctc", 4)])
def test_a_canvas_that_is_too_short_is_named(alignment: str, needed: int) -> None:
    model = model_of(alignment=alignment)
    message = rf"needs {needed} canvas positions, but its canvas has 3: .*canvas_scale.*tgt_len"
    with pytest.raises(ValueError, match=message):
        model(IDS, labels=LABELS, decoder_input_ids=torch.full((3, 3), MASK))
    own = torch.ones(3, 8).long()
    own[0, 3:] = 0
    with pytest.raises(ValueError, match=message):
        model(IDS, labels=LABELS, decoder_input_ids=torch.full((3, 8), MASK), decoder_attention_mask=own)


@pytest.mark.parametrize("copy_source", [False, True])
@pytest.mark.parametrize("length", [3, 5])
@pytest.mark.parametrize("glancing", [0.0, 0.5])
def test_labels_and_canvas_of_one_token_a_position_are_equally_long(
    copy_source: bool, length: int, glancing: float
) -> None:
    model = model_of(alignment="position", copy_source=copy_source).train()
    with pytest.raises(ValueError, match=f"labels have 4 positions, but the canvas has {length}: .*alignment=position"):
        model(IDS, labels=LABELS, decoder_input_ids=torch.full((3, length), MASK), glancing=glancing)


@pytest.mark.parametrize("alignment", ["dag", "ctc"])
@pytest.mark.parametrize("training", [True, False])
def test_layer_permutation(alignment: str, training: bool) -> None:
    model = model_of(alignment=alignment, copy_source=True).train(training)
    layers = torch.randint(0, 3, (3, 8), generator=torch.Generator().manual_seed(1))
    dense = dense_forward(model, labels=LABELS, exit_layers=layers)
    expected = expected_losses(dense, alignment, LABELS)
    assert torch.equal(dense.output.exit_layers, layers)
    torch.testing.assert_close(dense.output.loss, expected.squeeze(0), atol=1e-5, rtol=1e-4)
    assert dense.output.exit_losses.shape == (3,)
    assert dense.output.exit_losses.isfinite().all()
    # Which layer positions leave at is heeded.
    assert not torch.isclose(model(IDS, labels=LABELS, exit_layers=2 - layers).loss, dense.output.loss)
    with pytest.raises(ValueError, match="exit_layers must lie between 0 and 2"):
        model(IDS, labels=LABELS, exit_layers=layers + 1)


@pytest.mark.parametrize("alignment", ["dag", "ctc"])
def test_an_impossible_word_spoils_no_mean_over_layers(alignment: str) -> None:
    model = model_of(alignment=alignment)
    model.final_logits_bias[0, [0, 3]] = -torch.inf  # 0 is what stands for a target at padding
    layers = torch.zeros(3, 8, dtype=torch.long)
    assert model(IDS, labels=LABELS, exit_layers=layers).exit_losses[0].isfinite()


def test_losses_by_exit_layer_are_weighted_by_what_positions_write() -> None:
    model = model_of(alignment="dag", exit_mode="last")
    layers = torch.randint(0, 2, (3, 8), generator=torch.Generator().manual_seed(1))
    dense = dense_forward(model, labels=LABELS, exit_layers=layers)
    totals, weights = torch.zeros(3), torch.zeros(3)
    for row, label in enumerate(LABELS):
        text = label[label >= 0].tolist()
        ways = graph_ways(dense.exits[-1][row], dense.transitions[row], text)
        writes = writes_of(ways, len(text) - 1, 8)
        losses = -dense.exits[-1][row][:, text[:-1]].T * writes
        totals.index_add_(0, layers[row], losses.sum(0).detach())
        weights.index_add_(0, layers[row], writes.sum(0))
    torch.testing.assert_close(dense.output.exit_losses, totals / weights, atol=1e-4, rtol=1e-4, equal_nan=True)
    assert dense.output.exit_losses.isnan().tolist() == [False, False, True]


@pytest.mark.parametrize("alignment", ["dag", "ctc"])
@pytest.mark.parametrize("exit_mode", ["soft", "last"])
def test_a_text_that_cannot_be_written_costs_nothing(alignment: str, exit_mode: str) -> None:
    model = model_of(alignment=alignment, exit_mode=exit_mode)
    # A word that is out of the question: under -inf, every way to write the last text underflows.
    model.final_logits_bias[0, 3] = -torch.inf
    output = model(IDS, labels=LABELS)
    assert output.loss.isfinite()
    assert output.exit_losses.isfinite().all()
    # The text's tokens count in the mean, which is over the batch, but it adds neither loss nor gradient.
    others = model(IDS, labels=LABELS.index_fill(0, torch.tensor(2), -100))
    share = (LABELS[:2] >= 0).sum() / (LABELS >= 0).sum()
    torch.testing.assert_close(output.loss, others.loss * share)
    expected = {name: gradient * share for name, gradient in gradients(others.loss, model).items()}
    torch.testing.assert_close(gradients(output.loss, model), expected, atol=1e-5, rtol=1e-4)


def test_a_text_without_room_for_blanks_between_repeats_costs_nothing() -> None:
    model = model_of(alignment="ctc")
    canvas = torch.full((1, 3), MASK)
    output = model(IDS[:1], labels=torch.tensor([[4, 4, 4]]), decoder_input_ids=canvas)
    assert output.loss.item() == 0
    assert not any(gradient.any() for gradient in gradients(output.loss, model).values())


@pytest.mark.parametrize("glancing", [0.0, 0.5])
@pytest.mark.parametrize("exit_mode", ["last", "soft"])
@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_weights_that_are_no_numbers_cost_no_number(alignment: str, exit_mode: str, glancing: float) -> None:
    """A loss of 0 would look as if everything were learnt."""
    model = model_of(alignment=alignment, exit_mode=exit_mode).train()
    model.model.decoder.layers[0].fc1.weight.data.fill_(torch.nan)
    assert model(IDS, labels=LABELS, glancing=glancing).loss.isnan()


@pytest.mark.parametrize("copy_source", [False, True])
def test_gradients_are_finite_differences(copy_source: bool) -> None:
    model = model_of(alignment="dag", copy_source=copy_source, exit_mode="last", canvas_input="source").double()
    parameters = list(model.parameters())
    slope = torch.autograd.grad(model(IDS, labels=LABELS).loss, parameters, allow_unused=True)
    draw = torch.Generator().manual_seed(0)
    for _ in range(3):
        ways = [torch.randn(each.shape, generator=draw, dtype=torch.float64) for each in parameters]

        def at(step: float, ways: list[Tensor] = ways) -> float:
            with torch.no_grad():
                for parameter, way in zip(parameters, ways, strict=True):
                    parameter += step * way
                loss = model(IDS, labels=LABELS).loss.item()
                for parameter, way in zip(parameters, ways, strict=True):
                    parameter -= step * way
            return loss

        # Four points: what is left of the error is of the fourth order.
        step = 1e-3
        numeric = (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step)
        exact = sum((each * way).sum().item() for each, way in zip(slope, ways, strict=True) if each is not None)
        assert numeric == pytest.approx(exact, rel=2e-3, abs=2e-3)


@pytest.mark.parametrize("changes", [{"alignment": "dag"}, {"alignment": "ctc"}, {"copy_source": True}])
def test_label_smoothing_is_refused(changes: dict) -> None:
    with pytest.raises(ValueError, match=r"label_smoothing is for alignment=position without copy_source: give 0\."):
        small_model(**changes)(IDS, labels=LABELS, label_smoothing=0.1)
