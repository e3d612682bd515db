"""What `from_pretrained` takes and what `save_pretrained` leaves."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from huggingface_hub.errors import StrictDataclassFieldValidationError
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForSeq2SeqLM, BartConfig, BartForConditionalGeneration, BartModel

from textbox_elmer import ElmerConfig, ElmerForConditionalGeneration

IDS = torch.tensor([[0, 17, 33, 71, 2], [0, 90, 2, 1, 1]])
MASK = (IDS != 1).long()


def small_bart(**changes: object) -> BartConfig:
    sizes = {"vocab_size": 50, "d_model": 16, "max_position_embeddings": 20}
    for side in ("encoder", "decoder"):
        sizes |= {f"{side}_layers": 2, f"{side}_attention_heads": 2, f"{side}_ffn_dim": 24}
    return BartConfig(**sizes | changes)


def encode(model: ElmerForConditionalGeneration, ids: torch.Tensor = IDS) -> torch.Tensor:
    with torch.no_grad():
        return model.encode(ids, (ids != 1).long())[0]


def test_defaults_are_bart_base() -> None:
    config = ElmerConfig()
    assert (config.encoder_layers, config.decoder_layers, config.d_model, config.encoder_ffn_dim) == (6, 6, 768, 3072)
    assert (config.encoder_attention_heads, config.vocab_size, config.mask_token_id) == (12, 50265, 50264)
    assert (config.exit_mode, config.gold_mixing) == ("soft", 0.3)


def test_auto_classes_know_elmer(bart_folder: Path, tmp_path: Path) -> None:
    model = ElmerForConditionalGeneration.from_pretrained(bart_folder, exit_mode="hard", exit_threshold=1.5)
    model.save_pretrained(tmp_path / "saved")
    assert json.loads((tmp_path / "saved" / "config.json").read_text())["model_type"] == "elmer"
    assert isinstance(AutoConfig.from_pretrained(tmp_path / "saved"), ElmerConfig)
    loaded = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "saved")
    assert isinstance(loaded, ElmerForConditionalGeneration)
    assert (loaded.config.exit_mode, loaded.config.exit_threshold, loaded.config.mask_token_id) == ("hard", 1.5, 119)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name]), name


def test_saved_weights_carry_barts_names(bart_folder: Path, tmp_path: Path) -> None:
    ElmerForConditionalGeneration.from_pretrained(bart_folder).save_pretrained(tmp_path / "saved")
    saved = load_file(tmp_path / "saved" / "model.safetensors")
    assert set(saved) == set(load_file(bart_folder / "model.safetensors"))


def test_saved_model_loads_into_transformers_bart(bart_folder: Path, tmp_path: Path) -> None:
    model = ElmerForConditionalGeneration.from_pretrained(bart_folder)
    model.save_pretrained(tmp_path / "saved")
    bart, report = BartForConditionalGeneration.from_pretrained(tmp_path / "saved", output_loading_info=True)
    assert not report["missing_keys"]
    with torch.no_grad():
        theirs = bart.model.encoder(IDS, MASK).last_hidden_state
    assert torch.allclose(encode(model)[MASK.bool()], theirs[MASK.bool()], atol=1e-5)


@pytest.mark.parametrize("scale_embedding", [False, True])
def test_encoder_equals_transformers_bart(tmp_path: Path, scale_embedding: bool) -> None:
    bart = BartForConditionalGeneration(small_bart(scale_embedding=scale_embedding)).eval()
    bart.save_pretrained(tmp_path)
    model, report = ElmerForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    ids = IDS % 50
    with torch.no_grad():
        theirs = bart.model.encoder(ids, MASK).last_hidden_state
    assert torch.allclose(encode(model, ids)[MASK.bool()], theirs[MASK.bool()], atol=1e-5)


def test_loads_a_pickled_checkpoint_and_one_without_prefix(bart_folder: Path, tmp_path: Path) -> None:
    weights = load_file(bart_folder / "model.safetensors")
    expected = encode(ElmerForConditionalGeneration.from_pretrained(bart_folder))
    # As old BART uploads are: a pickle, tied weights stored several times, no `model.` prefix.
    old = {name.removeprefix("model."): tensor for name, tensor in weights.items() if name.startswith("model.")}
    old["encoder.embed_tokens.weight"] = old["decoder.embed_tokens.weight"] = old["shared.weight"]
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "config.json").write_text((bart_folder / "config.json").read_text())
    torch.save(old, folder / "pytorch_model.bin")
    model = ElmerForConditionalGeneration.from_pretrained(folder)
    assert torch.equal(encode(model), expected)
    assert torch.equal(model.lm_head.weight, weights["model.shared.weight"])


def test_a_pickle_with_code_is_refused(bart_folder: Path, tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "executed",))

    (bart_folder / "model.safetensors").unlink()
    with (bart_folder / "pytorch_model.bin").open("wb") as file:
        pickle.dump({"model.shared.weight": Attack()}, file)
    with pytest.raises(Exception, match=r"(?i)weights.only|unpickl"):
        ElmerForConditionalGeneration.from_pretrained(bart_folder)
    assert not (tmp_path / "executed").exists()


def test_without_concat_head_soft_computes_what_the_pretrained_model_did(bart_folder: Path) -> None:
    weights = load_file(bart_folder / "model.safetensors")
    del weights["concat_head.weight"], weights["final_logits_bias"]
    save_file(weights, bart_folder / "model.safetensors", metadata={"format": "pt"})
    soft = ElmerForConditionalGeneration.from_pretrained(bart_folder, exit_mode="soft").eval()
    last = ElmerForConditionalGeneration.from_pretrained(bart_folder, exit_mode="last").eval()
    width = soft.config.d_model
    assert torch.equal(soft.concat_head.weight, torch.cat([torch.eye(width), torch.zeros(width, width)], dim=1))
    assert torch.equal(soft.final_logits_bias, torch.zeros(1, soft.config.vocab_size))
    with torch.no_grad():
        assert torch.allclose(soft(IDS, MASK).logits, last(IDS, MASK).logits, atol=1e-6)


def test_a_bare_bart_model_also_loads(tmp_path: Path) -> None:
    BartModel(small_bart()).save_pretrained(tmp_path)
    _, report = ElmerForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]


def test_resizing_the_vocabulary_resizes_the_bias(bart_folder: Path) -> None:
    model = ElmerForConditionalGeneration.from_pretrained(bart_folder)
    kept = model.final_logits_bias[0, :120].clone()
    model.resize_token_embeddings(125)
    assert model.final_logits_bias.shape == (1, 125)
    assert torch.equal(model.final_logits_bias[0, :120], kept)
    assert model(IDS, MASK).logits.shape[-1] == 125
    model.resize_token_embeddings(110)
    assert torch.equal(model.final_logits_bias[0], kept[:110])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("gold_mixing", 1.5), ("exit_threshold", -1.0), ("mask_token_id", 50265), ("exit_mode", "sometimes")],
        *[("d_model", None), ("dropout", None), ("pad_token_id", None), ("eos_token_id", [2, 3])],
    ],
)
def test_senseless_configurations_are_refused(field: str, value: object) -> None:
    with pytest.raises((ValueError, StrictDataclassFieldValidationError), match=field):
        ElmerConfig(**{field: value})
