"""Checkpoints of models with a graph, blanks, copying or pre-norm, and what older ones become."""

import json
from pathlib import Path

import pytest
import torch
from huggingface_hub.errors import StrictDataclassFieldValidationError
from safetensors.torch import load_file
from transformers import BartConfig, BartForConditionalGeneration

from textbox_elmer import ElmerConfig, ElmerForConditionalGeneration

from .small import IDS, SIZES, small_model


@pytest.mark.parametrize(
    "changes",
    [
        {"alignment": "dag"},
        {"alignment": "dag", "copy_source": True, "canvas_input": "source", "normalize_before": True},
        {"alignment": "ctc", "copy_source": True},
        {"copy_source": True, "normalize_before": True},
    ],
)
def test_a_saved_model_writes_the_same_when_loaded(changes: dict, tmp_path: Path) -> None:
    model = small_model(canvas_length=6, **changes)
    model.save_pretrained(tmp_path)
    loaded, report = ElmerForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert {name: getattr(loaded.config, name) for name in changes} == changes
    assert loaded.config.canvas_scale == model.config.canvas_scale
    ours, theirs = (each.generate(IDS, return_dict_in_generate=True) for each in (model, loaded))
    for name, part in ours.items():
        assert torch.equal(part, theirs[name]), name


@pytest.mark.parametrize("copy_source", [False, True])
@pytest.mark.parametrize("kind", ["bart", "elmer"])
def test_a_published_checkpoint_keeps_its_weights_and_lacks_only_what_is_new(
    kind: str, copy_source: bool, bart_folder: Path
) -> None:
    if kind == "bart":
        sizes = {name: value for name, value in SIZES.items() if name != "gold_mixing"}
        BartForConditionalGeneration(BartConfig(**sizes)).save_pretrained(bart_folder)
    weights = load_file(bart_folder / "model.safetensors")
    loaded, report = ElmerForConditionalGeneration.from_pretrained(
        bart_folder, alignment="dag", copy_source=copy_source, canvas_length=4, output_loading_info=True
    )
    new = {"links"} | ({"pointer"} if copy_source else set())
    assert {name.split(".")[0] for name in report["missing_keys"]} == new
    assert not report["unexpected_keys"]
    assert not report["mismatched_keys"]
    state = loaded.state_dict()
    assert all(torch.equal(state[name], weight) for name, weight in weights.items())
    fresh = ElmerForConditionalGeneration(loaded.config).state_dict()
    for name in report["missing_keys"]:
        assert state[name].isfinite().all(), name
        assert state[name].std(correction=0).item() == pytest.approx(fresh[name].std(correction=0).item(), rel=0.5)
    loaded(IDS, labels=IDS[:, 1:5]).loss.backward()
    assert all(loaded.get_parameter(name).grad.isfinite().all() for name in report["missing_keys"])


def test_a_configuration_without_the_new_fields_is_one_token_a_position(tmp_path: Path) -> None:
    model = small_model(canvas_length=6)
    model.save_pretrained(tmp_path)
    stored = json.loads((tmp_path / "config.json").read_text())
    new = {"alignment", "canvas_scale", "canvas_input", "copy_source", "normalize_before"}
    assert new <= set(stored)
    for fields in (stored, {name: value for name, value in stored.items() if name not in new}):
        (tmp_path / "config.json").write_text(json.dumps(fields))
        loaded = ElmerForConditionalGeneration.from_pretrained(tmp_path)
        config = loaded.config
        assert (config.alignment, config.canvas_scale, config.canvas_input) == ("position", 1, "mask")
        assert torch.equal(loaded.generate(IDS), model.generate(IDS))


@pytest.mark.parametrize(
    ("fields", "scale", "length", "positions"),
    [
        ({}, 1, 64, 64),
        ({"alignment": "dag"}, 4, 64, 256),
        ({"alignment": "ctc", "canvas_scale": 2.5, "canvas_length": 5}, 2.5, 5, 13),
        ({"alignment": "dag", "max_position_embeddings": 30}, 4, 7, 28),
        ({"max_position_embeddings": 30}, 1, 30, 30),
    ],
)
def test_the_canvas_has_room_for_a_multiple_of_the_text(
    fields: dict, scale: float, length: int, positions: int
) -> None:
    config = ElmerConfig(**fields)
    assert (config.canvas_scale, config.canvas_length) == (scale, length)
    assert config.canvas_positions(config.canvas_length) == positions


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"canvas_scale": 2}, "canvas_scale is 1 for alignment=position, not 2."),
        ({"alignment": "dag", "canvas_scale": 1}, "canvas_scale is from 2 to 8 for alignment=dag, not 1."),
        ({"alignment": "ctc", "canvas_scale": 8.5}, "canvas_scale is from 2 to 8 for alignment=ctc, not 8.5."),
        ({"gold_mixing": 1.5}, "gold_mixing is a probability between 0 and 1, not 1.5."),
        ({"exit_threshold": -1}, "exit_threshold is an entropy in nats, 0 or more, not -1."),
        (
            {"mask_token_id": 50, "vocab_size": 40},
            "mask_token_id 50 lies outside the vocabulary of 40 tokens.",
        ),
    ],
)
def test_senseless_configurations_are_refused_in_a_sentence(fields: dict, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        ElmerConfig(**fields)
    assert message in str(caught.value)


def test_another_alignment_than_the_checkpoints_has_its_own_canvas(tmp_path: Path) -> None:
    for stored, named, scale in [
        ({}, {"alignment": "dag"}, 4),
        ({}, {"alignment": "ctc", "canvas_scale": 3}, 3),
        ({"alignment": "dag", "canvas_scale": 3}, {"alignment": "position"}, 1),
        ({"alignment": "dag", "canvas_scale": 3}, {"alignment": "dag"}, 3),
        ({"alignment": "dag", "canvas_scale": 3}, {"exit_mode": "hard"}, 3),
    ]:
        ElmerConfig(**stored).save_pretrained(tmp_path)
        config = ElmerConfig.from_pretrained(tmp_path, **named)
        assert {name: getattr(config, name) for name in named} == named
        assert config.canvas_scale == scale
    with pytest.raises(ValueError, match=r"canvas_scale is 1 for alignment=position, not 3\."):
        ElmerConfig.from_pretrained(tmp_path, alignment="position", canvas_scale=3)


@pytest.mark.parametrize("field", ["alignment", "canvas_input"])
def test_unknown_words_are_refused(field: str) -> None:
    with pytest.raises((ValueError, StrictDataclassFieldValidationError), match=field):
        ElmerConfig(**{field: "else"})
