"""Hard exit by each criterion against a plain oracle: layer by layer, all positions, all logits, nothing skipped."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from textbox_elmer import ElmerConfig, ElmerForConditionalGeneration
from textbox_elmer.model import inference
from textbox_elmer.model.layers import additive_mask

from .small import IDS, PAD, entropy, small_model, word_log_probs

CRITERIA = ("entropy", "saturation", "classifier")
ALIGNMENTS = ("position", "dag", "ctc")
# Above the first nobody leaves, at the second everybody does as soon as can be.
NOBODY = {"entropy": 0.0, "saturation": 1.01, "classifier": 1.01}
EVERYBODY = {"entropy": 1e9, "saturation": 0.0, "classifier": 0.0}
bounded = settings(deadline=None, derandomize=True, max_examples=30)


def hard_model(seed: int, criterion: str, **changes: object) -> ElmerForConditionalGeneration:
    model = small_model(seed, exit_mode="hard", exit_criterion=criterion, **changes)
    if criterion == "classifier":
        torch.nn.init.normal_(model.exit_classifier.weight, std=0.7)
        torch.nn.init.normal_(model.exit_classifier.bias)
    return model


@torch.no_grad()
def oracle(
    model: ElmerForConditionalGeneration, ids: Tensor, mask: Tensor, length: int, threshold: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the states where positions leave, their likeliest words and the layers, and how near a decision was."""
    config, decoder = model.config, model.model.decoder
    encoded, source_mask = model.encode(ids, mask)[0], additive_mask(mask, torch.float32)
    canvas = torch.full((len(ids), config.canvas_positions(length)), config.mask_token_id)
    canvas[:, 0] = config.bos_token_id
    hidden = decoder.embed(canvas)
    left_at = torch.full(canvas.shape, -1)
    nearest = torch.tensor(torch.inf)
    for index, layer in enumerate(decoder.layers):
        memory = (layer.remember_self(hidden), layer.encoder_attn.remember(encoded))
        above = layer.attend(hidden, memory, source_mask)
        read = decoder.layer_norm(above)
        if config.exit_criterion == "entropy":
            margin = threshold - entropy(word_log_probs(model, read, ids, mask))
            sure = margin > 0
        elif config.exit_criterion == "saturation":
            margin = F.cosine_similarity(decoder.layer_norm(hidden), read, dim=-1) - threshold
            sure = margin >= 0
        elif index < len(decoder.layers) - 1:
            weight, bias = model.exit_classifier.weight[index], model.exit_classifier.bias[index]
            margin = (read @ weight + bias).sigmoid() - threshold
            sure = margin >= 0
        hidden = torch.where((left_at < 0)[..., None], above, hidden)
        if index == len(decoder.layers) - 1:
            sure = torch.ones_like(sure)
        else:
            nearest = torch.minimum(nearest, margin[left_at < 0].abs().min() if (left_at < 0).any() else nearest)
        left_at = torch.where((left_at < 0) & sure, index, left_at)
    words = word_log_probs(model, decoder.layer_norm(hidden), ids, mask)
    return words, left_at, nearest


@bounded
@given(
    seed=st.integers(0, 10**6),
    criterion=st.sampled_from(CRITERIA),
    alignment=st.sampled_from(ALIGNMENTS),
    copies=st.booleans(),
    before=st.booleans(),
    share=st.floats(0.05, 0.95),
    prepared=st.booleans(),
)
def test_texts_are_the_oracles(
    seed: int, criterion: str, alignment: str, copies: bool, before: bool, share: float, prepared: bool
) -> None:
    scale = {} if alignment == "position" else {"canvas_scale": 2}
    model = hard_model(seed, criterion, alignment=alignment, copy_source=copies, normalize_before=before, **scale)
    mask = (IDS != PAD).long()
    threshold = {"entropy": 2.5 * share, "saturation": 0.5 + share / 2, "classifier": share}[criterion]
    words, left_at, nearest = oracle(model, IDS, mask, 12, threshold)
    if nearest < 1e-4:
        return  # rounding may decide either way
    best, tokens = words.max(-1)
    if prepared:
        model.prepare_for_inference()
    options = {"exit_threshold": threshold, "max_length": 12, "collapse_repeats": False}
    found = model.generate(IDS, mask, return_dict_in_generate=True, output_scores=True, **options)
    for row, sequence in enumerate(found.sequences):
        for place in range(int((sequence != PAD).sum())):
            vertex = found.vertices[row, place]
            if alignment == "dag" and vertex == tokens.shape[1] - 1:
                continue  # the end of text, which no word is read for
            assert sequence[place] == tokens[row, vertex]
            assert found.exit_layers[row, place] == left_at[row, vertex]
            assert found.scores[row, place] == pytest.approx(best[row, vertex].exp().item(), abs=1e-4)
    if alignment == "position" and not copies:
        ends = [row.index(2) + 1 if 2 in row else len(row) for row in tokens.tolist()]
        texts = [row[:end] for row, end in zip(tokens.tolist(), ends, strict=True)]
        assert [row[: len(text)] for row, text in zip(found.sequences.tolist(), texts, strict=True)] == texts
        assert found.sequences.shape[1] == max(ends)
        assert model.generate(IDS, mask, **options).tolist() == found.sequences.tolist()
    model.config.exit_threshold = threshold
    canvas = torch.full((3, tokens.shape[1]), model.config.mask_token_id)
    canvas[:, 0] = model.config.bos_token_id
    with torch.no_grad():
        output = model(IDS, mask, decoder_input_ids=canvas)
    assert torch.equal(output.exit_layers, left_at)
    torch.testing.assert_close(output.logits.softmax(-1), words.exp(), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("criterion", CRITERIA)
def test_criteria_change_no_text_when_nobody_may_leave(criterion: str, alignment: str) -> None:
    model = hard_model(1, criterion, alignment=alignment)
    last = model.generate(IDS, exit_mode="last", max_length=9)
    assert model.generate(IDS, exit_threshold=NOBODY[criterion], max_length=9).tolist() == last.tolist()
    found = model.generate(IDS, exit_threshold=EVERYBODY[criterion], max_length=9, return_dict_in_generate=True)
    assert set(found.exit_layers.unique().tolist()) <= {0, -1}


def test_upper_layers_know_the_source_only_if_someone_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    model = hard_model(2, "saturation")
    reached = []
    for index, layer in enumerate(model.model.decoder.layers):

        def remember(*args: object, index: int = index, real: Callable = layer.remember) -> object:
            reached.append(index)
            return real(*args)

        monkeypatch.setattr(layer, "remember", remember)
    model.generate(IDS, exit_threshold=0.0)
    assert reached == [0]


def test_the_vocabulary_is_read_once_where_tokens_left(monkeypatch: pytest.MonkeyPatch) -> None:
    model = hard_model(3, "classifier", max_position_embeddings=40)
    monkeypatch.setattr(inference, "FIRST_POSITIONS", 40)
    read = []
    best = inference.OffRamp.best
    monkeypatch.setattr(inference.OffRamp, "best", lambda self, states: (read.append(states), best(self, states))[1])
    monkeypatch.setattr(inference.OffRamp, "_read", None)
    monkeypatch.setattr(inference.TextEnds, "__call__", lambda *_: False)
    model.generate(IDS, exit_threshold=0.5, max_length=40)
    assert [states.shape[:2] for states in read] == [(3, 40)]


def test_what_lies_behind_settled_ends_is_not_waited_for() -> None:
    """The position of the end, and those before it, leave at once; those behind it never would."""
    model = hard_model(4, "classifier")
    places = model.model.decoder.embed_positions.weight
    with torch.no_grad():
        model.exit_classifier.weight.zero_()
        model.exit_classifier.weight[:, 3] = 10.0
        model.exit_classifier.bias.zero_()
        model.model.shared.weight[2] = 0.0
        model.model.shared.weight[2, 4] = 9.0
        places[:, 3:5] = torch.tensor([-60.0, -60.0])
        places[2:10, 3] = 60.0
        places[9, 4] = 60.0
    reached = []
    for layer in model.model.decoder.layers:
        layer.fc1.register_forward_hook(lambda *call: reached.append(call[-1].shape[1]))
    found = model.generate(IDS, exit_threshold=0.5, max_length=20, return_dict_in_generate=True, collapse_repeats=False)
    assert found.sequences.shape == (3, 8)
    assert reached == [20]
    assert (found.exit_layers == 0).all()


@pytest.mark.parametrize("queries", [1, 3])
def test_a_few_queries_attend_the_same_without_keys_and_values(queries: int) -> None:
    model = small_model(5)
    attention, states = model.model.decoder.layers[0].encoder_attn, torch.randn(2, 400, 16)
    mask = additive_mask(torch.arange(400) < torch.tensor([400, 7])[:, None], torch.float32)
    asked = torch.randn(2, queries, 16)
    few = attention.remember_for(states, queries)
    assert isinstance(few, Tensor)
    assert not isinstance(attention.remember_for(states, 400), Tensor)
    torch.testing.assert_close(attention(asked, few, mask), attention(asked, attention.remember(states), mask))


def test_thresholds_belong_to_their_criterion() -> None:
    assert ElmerConfig().exit_threshold == 0.5
    assert ElmerConfig(exit_criterion="saturation").exit_threshold == 0.95
    stored = ElmerConfig(exit_criterion="entropy", exit_threshold=0.2).to_dict()
    assert ElmerConfig.from_dict(stored).exit_threshold == 0.2
    assert ElmerConfig.from_dict(stored, exit_criterion="classifier").exit_threshold == 0.9
    assert ElmerConfig.from_dict(stored, exit_criterion="classifier", exit_threshold=0.8).exit_threshold == 0.8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"exit_criterion": "patience"}, "exit_criterion is one of entropy, saturation, classifier, not 'patience'."),
        (
            {"exit_criterion": "saturation", "exit_threshold": -0.5},
            "exit_threshold is a confidence under exit_criterion=saturation, 0 or more, not -0.5.",
        ),
        (
            {"exit_criterion": "classifier"},
            "exit_criterion=classifier is for models that have a classifier, and this one has none: give entropy or "
            "saturation.",
        ),
    ],
)
def test_senseless_exits_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        small_model().generate(IDS, exit_mode="hard", **options)
    assert str(caught.value) == message


def test_only_a_classifiers_model_has_its_weights() -> None:
    assert not [name for name in small_model(exit_criterion="saturation").state_dict() if "classifier" in name]
    names = set(small_model(exit_criterion="classifier").state_dict()) - set(small_model().state_dict())
    assert names == {"exit_classifier.weight", "exit_classifier.bias"}


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_soft_training_teaches_the_classifier_and_nothing_else_by_it(alignment: str) -> None:
    labels = torch.tensor([[4, 7, 5, 2], [8, 2, -100, -100], [9, 6, 2, -100]])
    model = small_model(alignment=alignment, exit_criterion="classifier").train()
    plain = small_model(alignment=alignment).train()
    torch.nn.init.normal_(model.exit_classifier.weight)
    output, expected = (each(IDS, labels=labels) for each in (model, plain))
    assert output.exit_losses.tolist() == expected.exit_losses.tolist()
    assert output.loss > expected.loss
    output.loss.backward()
    expected.loss.backward()
    for name, weight in plain.named_parameters():
        ours = dict(model.named_parameters())[name].grad
        assert (ours is None) == (weight.grad is None)
        assert ours is None or torch.equal(ours, weight.grad)
    assert model.exit_classifier.weight.grad.abs().sum() > 0
    # A step against the gradient tells better.
    with torch.no_grad():
        for part in model.exit_classifier.parameters():
            part -= 0.1 * part.grad
    assert model(IDS, labels=labels).loss < output.loss
    model.eval()
    plain.eval()
    assert model(IDS, labels=labels).loss == plain(IDS, labels=labels).loss
