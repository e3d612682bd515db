"""A prepared model writes what the same weights write without, whatever is done to them in between."""

import copy
import gc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.model.small import small_model
from textbox_elmer.model import ElmerForConditionalGeneration, preparation
from textbox_elmer.model.preparation import Watched

IDS = torch.tensor([[0, 11, 12, 13, 14, 2], [0, 21, 22, 2, 1, 1], [0, 31, 32, 33, 2, 1]])


def small(seed: int = 3) -> ElmerForConditionalGeneration:
    return small_model(seed, bias=0.0, vocab_size=60, exit_mode="soft")  # a screen is of no use beside a bias


Change = Callable[[ElmerForConditionalGeneration], object]


@pytest.fixture(autouse=True)
def screens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Screen the vocabulary whatever this machine would choose."""
    monkeypatch.setattr(preparation, "screen_pays", lambda weight: weight.dtype == torch.float32)


@pytest.fixture
def model() -> Iterator[ElmerForConditionalGeneration]:
    model = small()
    yield model
    assert not any(getattr(layer, "packed", None) is not None for layer in model.modules())


def texts(model: ElmerForConditionalGeneration) -> Tensor:
    return model.generate(IDS, max_length=12, collapse_repeats=False)


def fresh(model: ElmerForConditionalGeneration) -> Tensor:
    """What a model that was never prepared writes with these weights."""
    twin = type(model)(model.config)
    twin.load_state_dict({name: value.detach().clone() for name, value in model.state_dict().items()})
    return texts(twin.eval())


def head_row(model: ElmerForConditionalGeneration, write: Callable[[nn.Parameter, Tensor], object]) -> None:
    """Make every state predict another word, by writing to a few numbers of one weight."""
    weight = model.lm_head.weight
    write(weight, -7 * weight.detach().clone()[40:44])


def by_data(weight: nn.Parameter, rows: Tensor) -> None:
    weight.data[40:44] = rows


def by_no_grad(weight: nn.Parameter, rows: Tensor) -> None:
    with torch.no_grad():
        weight[40:44] = rows


def by_replacing_data(weight: nn.Parameter, rows: Tensor) -> None:
    weight.data = torch.cat([weight.detach()[:40], rows, weight.detach()[44:]])


def by_detached(weight: nn.Parameter, rows: Tensor) -> None:
    weight.detach()[40:44] = rows


def layers_by_data(model: ElmerForConditionalGeneration) -> None:
    for layer in model.model.decoder.layers:
        layer.fc1.weight.data[3] *= 30
        layer.fc2.weight.data[:, 3] *= -30


def replace_a_layers_weight(model: ElmerForConditionalGeneration) -> None:
    layer = model.model.encoder.layers[0].fc1
    layer.weight = nn.Parameter(layer.weight.detach() * -3)


def set_bias(model: ElmerForConditionalGeneration) -> None:
    model.final_logits_bias.data[0, 17] = 100.0


CHANGES: dict[str, Change] = {
    "head by .data": lambda model: head_row(model, by_data),
    "head in place": lambda model: head_row(model, by_no_grad),
    "head's .data replaced": lambda model: head_row(model, by_replacing_data),
    "head by a detached tensor": lambda model: head_row(model, by_detached),
    "layers by .data": layers_by_data,
    "a layer's weight replaced": replace_a_layers_weight,
    "the head's bias": set_bias,
    "loaded": lambda model: model.load_state_dict(small(4).state_dict()),
    "moved": lambda model: model.to(torch.float64).to(torch.float32),
    "trained": lambda model: train_a_step(model),
}


def train_a_step(model: ElmerForConditionalGeneration) -> None:
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    model(IDS, labels=IDS[:, 1:]).loss.backward()
    optimizer.step()
    model.eval()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("prepared", [True, False], ids=["prepared", "plain"])
def test_no_text_is_of_old_weights(model: ElmerForConditionalGeneration, change: Change, prepared: bool) -> None:
    if prepared:
        model.prepare_for_inference()
    before = texts(model)
    assert torch.equal(before, fresh(model))
    change(model)
    assert torch.equal(texts(model), fresh(model))
    model.prepare_for_inference()
    assert torch.equal(texts(model), fresh(model))


def test_the_changes_change_texts(model: ElmerForConditionalGeneration) -> None:
    """Else the test above could not fail."""
    before = texts(model)
    for name in CHANGES.keys() - {"moved"}:
        other = small()
        CHANGES[name](other)
        assert not torch.equal(texts(other), before), name


def test_the_context_holds_packs_and_a_screen_and_lets_go_of_them(model: ElmerForConditionalGeneration) -> None:
    layer = model.model.decoder.layers[0].fc1
    with model.prepare_for_inference() as held:
        assert held.holds
        screen = weakref.ref(held.screen)
        with held.applied():
            pack = weakref.ref(layer.packed)
        with model.prepare_for_inference():
            pass  # within another's block nothing is made again, and nothing ended
        assert held.holds
        assert held.screen is screen()
        texts(model)
        assert held.holds
        assert type(layer.weight) is Watched
    del held
    gc.collect()
    assert screen() is None
    assert pack() is None
    assert {type(weight) for weight in model.parameters()} == {nn.Parameter}


@pytest.mark.parametrize("end", [ElmerForConditionalGeneration.train, ElmerForConditionalGeneration.double])
def test_what_ends_it(model: ElmerForConditionalGeneration, end: Change) -> None:
    held = model.prepare_for_inference()
    end(model)
    assert not held.holds
    assert held.screen is None


def test_evaluation_does_not_end_it(model: ElmerForConditionalGeneration) -> None:
    held = model.prepare_for_inference()
    model.eval()
    model.save_pretrained  # noqa: B018 - reading an attribute is no change
    assert held.holds


def test_preparing_ends_training_mode(model: ElmerForConditionalGeneration) -> None:
    model.train().prepare_for_inference()
    assert not model.training


def test_copies_and_files_know_nothing_of_it(model: ElmerForConditionalGeneration, tmp_path: Path) -> None:
    with model.prepare_for_inference() as held:
        twin = copy.deepcopy(model)
        model.save_pretrained(tmp_path)
        assert set(model.state_dict()) == set(small().state_dict())
    assert not held.holds
    assert {type(weight) for weight in twin.parameters()} == {nn.Parameter}
    assert twin.lm_head.weight is twin.model.shared.weight
    for each in (twin, ElmerForConditionalGeneration.from_pretrained(tmp_path)):
        assert torch.equal(texts(each), texts(model))
    layers_by_data(twin)
    assert torch.equal(texts(twin), fresh(twin))


def test_a_fault_leaves_nothing_packed(model: ElmerForConditionalGeneration) -> None:
    model.prepare_for_inference()
    with pytest.raises(ValueError, match="exit_mode"):
        model.generate(IDS, exit_mode="sideways")
    with pytest.raises(IndexError):
        model.generate(IDS + 10**6)


def test_autocast_is_left_to_pytorch(model: ElmerForConditionalGeneration) -> None:
    held = model.prepare_for_inference()
    layer = model.model.decoder.layers[0].fc1
    with torch.autocast("cpu", torch.bfloat16), held.applied():
        assert layer.packed is None
        plain = texts(small())
        assert torch.equal(texts(model), plain)


def test_weights_made_for_inference_alone_are_left_as_they_are() -> None:
    with torch.inference_mode():
        model = small()
    assert model.lm_head.weight.is_inference()
    model.prepare_for_inference()
    assert texts(model).shape == texts(small()).shape
