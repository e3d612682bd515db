"""Every array of the reference figures: what the original implementation computed."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from textbox_elmer import ElmerForConditionalGeneration
from textbox_elmer.model import ElmerOutput

FIXTURES = Path(__file__).parents[1] / "fixtures" / "elmer"
EXPECTED = load_file(FIXTURES / "expected.safetensors")
TOLERANCE = 1e-4
GRADIENT_TOLERANCE = 1e-3  # relative to the largest entry


@pytest.fixture
def model(bart_folder: Path) -> ElmerForConditionalGeneration:
    return ElmerForConditionalGeneration.from_pretrained(bart_folder)


@pytest.fixture
def inputs() -> dict[str, Tensor]:
    inputs = load_file(FIXTURES / "inputs.safetensors")
    del inputs["exit_layers"]
    return inputs


def assert_close(actual: Tensor, name: str) -> None:
    assert (actual - EXPECTED[name]).abs().max() <= TOLERANCE, name


def train(model: ElmerForConditionalGeneration, **inputs: Tensor) -> ElmerOutput:
    model.train()
    output = model(**inputs)
    output.loss.backward()
    return output


def assert_gradients(model: ElmerForConditionalGeneration, prefix: str) -> None:
    parameters = dict(model.named_parameters())
    names = [name for name in EXPECTED if name.startswith(f"{prefix}.grad.")]
    assert names
    for name in names:
        expected = EXPECTED[name]
        gradient = parameters[name.removeprefix(f"{prefix}.grad.")].grad
        assert (gradient - expected).abs().max() <= GRADIENT_TOLERANCE * expected.abs().max(), name


def test_last(model: ElmerForConditionalGeneration, inputs: dict[str, Tensor]) -> None:
    model.config.exit_mode = "last"
    assert_close(model(**inputs).logits, "last.logits")


def test_soft(model: ElmerForConditionalGeneration, inputs: dict[str, Tensor]) -> None:
    output = model(**inputs)
    assert_close(output.logits, "soft.logits")
    assert_close(output.loss, "soft.loss")
    assert_close(output.exit_losses, "soft.loss_per_exit")
    assert_close(output.encoder_last_hidden_state, "soft.encoder_last_hidden_state")


@pytest.mark.parametrize("mixing", [0, 1])
def test_soft_training(model: ElmerForConditionalGeneration, inputs: dict[str, Tensor], mixing: int) -> None:
    model.config.gold_mixing = mixing
    assert_close(train(model, **inputs).loss, f"soft.mix{mixing}.loss")
    assert_gradients(model, f"soft.mix{mixing}")


def test_layer_permutation(model: ElmerForConditionalGeneration, inputs: dict[str, Tensor]) -> None:
    output = train(model, **inputs, exit_layers=load_file(FIXTURES / "inputs.safetensors")["exit_layers"])
    assert_close(output.logits, "lplm.logits")
    assert_close(output.loss, "lplm.loss")
    assert_gradients(model, "lplm")


def test_every_array_is_tested() -> None:
    tested = {"last.logits", "soft.logits", "soft.loss", "soft.loss_per_exit", "soft.encoder_last_hidden_state"}
    tested |= {"soft.mix0.loss", "soft.mix1.loss", "lplm.logits", "lplm.loss"}
    assert {name for name in EXPECTED if ".grad." not in name} == tested


def test_labels_padded_with_minus_100_mean_the_same(
    model: ElmerForConditionalGeneration, inputs: dict[str, Tensor]
) -> None:
    inputs["labels"] = inputs["labels"].masked_fill(inputs["labels"] == 1, -100)
    assert_close(model(**inputs).loss, "soft.loss")
    model.config.gold_mixing = 1.0
    assert_close(train(model, **inputs).loss, "soft.mix1.loss")


def test_the_model_lays_the_canvas_itself(model: ElmerForConditionalGeneration, inputs: dict[str, Tensor]) -> None:
    canvas = inputs.pop("decoder_input_ids")
    assert canvas[0].tolist() == [0] + [119] * (canvas.shape[1] - 1)
    assert torch.equal(model(**inputs).logits, model(**inputs, decoder_input_ids=canvas).logits)
