"""`model.generate`: one pass, nothing from the reference, and what it leaves of the canvas."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import GenerationConfig

from textbox_elmer import ElmerConfig, ElmerForConditionalGeneration
from textbox_elmer.model.decoding import kept_tokens, pack_left

IDS = torch.tensor([[0, 17, 33, 71, 64, 2], [0, 90, 45, 2, 1, 1], [0, 12, 2, 1, 1, 1]])
MODES = ("soft", "hard", "last")


@pytest.fixture
def model(bart_folder: Path) -> ElmerForConditionalGeneration:
    # Strong embeddings over small layers give many words, lengths and exits; the reference weights repeat one word.
    config = ElmerConfig.from_pretrained(bart_folder, init_std=0.15, exit_threshold=1.5)
    torch.manual_seed(0)
    model = ElmerForConditionalGeneration(config)
    torch.nn.init.normal_(model.model.shared.weight, std=0.6)
    torch.nn.init.normal_(model.model.decoder.embed_positions.weight, std=1.0)
    model.final_logits_bias[0, config.eos_token_id] = 2.0
    return model


def predict(model: ElmerForConditionalGeneration, ids: Tensor, length: int) -> Tensor:
    """The argmax of a plain forward pass over a canvas of `length`."""
    canvas = torch.full((len(ids), length), model.config.mask_token_id)
    canvas[:, 0] = 0
    with torch.no_grad():
        return model.eval()(ids, decoder_input_ids=canvas).logits.argmax(-1)


def text(row: list[int], collapse: bool) -> list[int]:
    """The definition, in plain Python."""
    row = row[: row.index(2) + 1] if 2 in row else row
    return [token for i, token in enumerate(row) if not (collapse and i and token == row[i - 1])]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("collapse", [True, False])
def test_generate_is_the_forward_pass_cut_at_eos(
    model: ElmerForConditionalGeneration, mode: str, collapse: bool
) -> None:
    model.config.exit_mode = mode
    expected = [text(row, collapse) for row in predict(model, IDS, 12).tolist()]
    sequences = model.generate(IDS, max_length=12, collapse_repeats=collapse)
    longest = max(map(len, expected))
    assert sequences.tolist() == [row + [1] * (longest - len(row)) for row in expected]


def test_cutting_and_collapsing() -> None:
    tokens = torch.tensor([[7, 7, 8, 2, 9], [2, 2, 2, 2, 2], [5, 6, 6, 5, 5]])
    kept = kept_tokens(tokens, eos_token_id=2, collapse_repeats=True)
    assert pack_left(tokens, kept, 1).tolist() == [[7, 8, 2], [2, 1, 1], [5, 6, 5]]
    kept = kept_tokens(tokens, eos_token_id=2, collapse_repeats=False)
    assert pack_left(tokens, kept, 1).tolist() == [[7, 7, 8, 2, 1], [2, 1, 1, 1, 1], [5, 6, 6, 5, 5]]


@pytest.mark.parametrize("mode", MODES)
def test_padding_and_batching_change_nothing(model: ElmerForConditionalGeneration, mode: str) -> None:
    batch = model.generate(IDS, (IDS != 1).long(), max_length=12, exit_mode=mode)
    assert torch.equal(batch, model.generate(IDS, max_length=12, exit_mode=mode))
    more = torch.nn.functional.pad(IDS, (0, 7), value=1)
    assert torch.equal(batch, model.generate(more, (more != 1).long(), max_length=12, exit_mode=mode))
    for row, sequence in zip(IDS, batch, strict=True):
        alone = model.generate(row[row != 1][None], max_length=12, exit_mode=mode)[0]
        assert sequence[sequence != 1].tolist() == alone[alone != 1].tolist()


def test_exit_layers_and_scores(model: ElmerForConditionalGeneration) -> None:
    output = model.generate(IDS, max_length=12, exit_mode="hard", return_dict_in_generate=True, output_scores=True)
    padding = output.sequences == 1
    assert output.sequences.shape == output.exit_layers.shape == output.scores.shape
    assert padding.any()
    assert (output.exit_layers[padding] == -1).all()
    assert (output.scores[padding] == 0).all()
    assert ((output.exit_layers >= 0) & (output.exit_layers < 4))[~padding].all()
    assert ((output.scores > 0) & (output.scores <= 1))[~padding].all()
    assert len(output.exit_layers[~padding].unique()) > 1
    soft = model.generate(IDS, max_length=12, exit_mode="soft", return_dict_in_generate=True, output_scores=True)
    canvas = torch.full((3, 12), 119)
    canvas[:, 0] = 0
    with torch.no_grad():
        probabilities = model.eval()(IDS, decoder_input_ids=canvas).logits.softmax(-1).max(-1).values
    assert torch.allclose(soft.scores[:, 0], probabilities[:, 0], atol=1e-5)
    assert set(soft.exit_layers.unique().tolist()) <= {3, -1}


def test_default_length_is_the_trained_canvas(model: ElmerForConditionalGeneration) -> None:
    model.config.canvas_length = 9
    assert torch.equal(model.generate(IDS), model.generate(IDS, max_length=9))


def test_generate_leaves_training_mode_as_it_was(model: ElmerForConditionalGeneration) -> None:
    model.config.dropout = 0.5
    model.train()
    assert torch.equal(model.generate(IDS, max_length=8), model.generate(IDS, max_length=8))
    assert model.training


@pytest.mark.parametrize("option", ["num_beams", "no_repeat_ngram_size", "do_sample", "temperature", "early_stopping"])
def test_token_by_token_options_are_refused(model: ElmerForConditionalGeneration, option: str) -> None:
    with pytest.raises(ValueError, match=option):
        model.generate(IDS, max_length=8, **{option: 2})


NOTHING_ASKED = {"num_beams": 1, "do_sample": False, "length_penalty": 1.0, "temperature": 1.0, "use_cache": True}


def test_options_that_ask_for_nothing_are_taken(model: ElmerForConditionalGeneration) -> None:
    plain = model.generate(IDS, max_length=8)
    ids = {name: getattr(model.config, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    assert torch.equal(model.generate(IDS, max_length=8, **NOTHING_ASKED, **ids, top_p=None), plain)
    with pytest.raises(ValueError, match="eos_token_id"):
        model.generate(IDS, max_length=8, eos_token_id=model.config.eos_token_id + 1)


def test_names_and_objects_of_transformers(model: ElmerForConditionalGeneration) -> None:
    plain = model.generate(IDS, max_length=8)
    assert torch.equal(model.generate(inputs=IDS, max_new_tokens=8), plain)
    assert torch.equal(model.generate(input_ids=IDS, generation_config=GenerationConfig(max_new_tokens=8)), plain)
    longer = GenerationConfig(max_length=11, num_beams=1, return_dict_in_generate=True, output_scores=True)
    found = model.generate(IDS, generation_config=longer)
    assert torch.equal(found.sequences, model.generate(IDS, max_length=11))
    assert found.scores.shape == found.sequences.shape
    assert torch.equal(model.generate(IDS, max_length=8, generation_config=longer).sequences, plain)
    with pytest.raises(ValueError, match="do_sample, top_k"):
        model.generate(IDS, generation_config=GenerationConfig(do_sample=True, top_k=3))
    with pytest.raises(ValueError, match="give one of them"):
        model.generate(IDS, max_length=8, max_new_tokens=8)


@pytest.mark.parametrize("sources", [{}, {"inputs": IDS, "input_ids": IDS}])
def test_sources_are_given_once(model: ElmerForConditionalGeneration, sources: dict) -> None:
    with pytest.raises(ValueError, match="the sources once"):
        model.generate(max_length=8, **sources)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_length": 32}, "max_length 32 .* 31"),
        ({"max_length": 0}, "max_length 0"),
        ({"max_length": 2.5}, "whole number of tokens, not 2.5"),
        ({"exit_mode": "early"}, "soft, hard, last"),
        ({"exit_threshold": -0.5}, "exit_threshold"),
    ],
)
def test_senseless_values_are_refused(model: ElmerForConditionalGeneration, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model.generate(IDS, **options)


def test_a_source_beyond_the_positions_is_refused(model: ElmerForConditionalGeneration) -> None:
    with pytest.raises(ValueError, match=r"40 positions .* 31"):
        model.generate(torch.full((1, 40), 5), max_length=8)
