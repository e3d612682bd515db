"""Every model, from scratch at a tiny size: fit, generate, score, and again from the checkpoint."""

import json
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from tests.conftest import WORDS
from tests.runtime.models.peers import FORMATS, LANGUAGES, tiny_peer, with_files
from textbox_elmer import run_textbox
from textbox_elmer.runtime.catalogue.models import MODELS


def test_every_model_is_among_them() -> None:
    assert {"ELMER", "transformer", *FORMATS} == set(MODELS)


@pytest.mark.parametrize("model", FORMATS)
def test_fit_generate_and_score(workplace: Path, model: str) -> None:
    results = run_textbox(model, "toy", config_dict=tiny_peer(model, epochs=1, quick_test=12))
    run = Path(results["run"])
    assert results["model"] == model
    assert results["training"]["steps"] == 2
    saved = json.loads((run / "results.json").read_text())
    assert set(saved["metrics"]) == {"rouge-1", "rouge-2", "rouge-l"}
    texts = (run / "generation.txt").read_text().splitlines()
    assert len(texts) == 12
    changes = {"do_train": False, "model_path": f"{run}/checkpoint_best", "quick_test": 12, "metrics": ["rouge"]}
    lengths = {"src_len": 24, "tgt_len": 10, "generation_kwargs": {"num_beams": 2}, "use_gpu": False}
    again = run_textbox(model, "toy", config_dict=changes | lengths | LANGUAGES)
    assert (again["metrics"], again["loss"]) == (results["metrics"], results["loss"])
    assert (Path(again["run"]) / "generation.txt").read_text().splitlines() == texts


def test_a_causal_model_learns_to_go_on_with_the_source(workplace: Path) -> None:
    changes = {"epochs": 30, "valid_steps": 30, "n_embd": 64, "learning_rate": 0.005, "grad_clip": 1.0}
    results = run_textbox("GPT-2", "toy", config_dict=tiny_peer("GPT-2", **changes))
    assert results["metrics"]["rouge-1"] > 60


def test_positions_told_by_sines_need_no_weights(workplace: Path) -> None:
    """PEGASUS was published without them."""
    results = run_textbox("PEGASUS", "toy", config_dict=tiny_peer("PEGASUS", epochs=1, quick_test=8))
    path = Path(results["run"]) / "checkpoint_best" / "model.safetensors"
    weights = load_file(path)
    for name in [name for name in weights if "embed_positions" in name]:
        del weights[name]
    save_file(weights, path, metadata={"format": "pt"})
    changes = {"do_train": False, "model_path": str(path.parent)}
    again = run_textbox("PEGASUS", "toy", config_dict=tiny_peer("PEGASUS", quick_test=8, **changes))
    assert again["loss"] == results["loss"]


def test_two_berts_become_one_model(workplace: Path) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (workplace / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizer(str(workplace / "vocab.txt")).save_pretrained(workplace / "bert")
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    transformers.BertForMaskedLM(transformers.BertConfig(vocab_size=len(words), **sizes)).save_pretrained("bert")
    given = load_file(workplace / "bert" / "model.safetensors")["bert.embeddings.word_embeddings.weight"]
    config = tiny_peer("BERT2BERT", model_path="bert", max_steps=1, learning_rate=1e-9, quick_test=8)
    del config["vocab_size"]
    first = run_textbox("BERT2BERT", "toy", config_dict=config)
    weights = load_file(Path(first["run"]) / "checkpoint_best" / "model.safetensors")
    halves = [weight for name, weight in weights.items() if "word_embeddings" in name]
    assert len(halves) == 2
    assert all(torch.allclose(half, given, atol=1e-6) for half in halves)
    config |= {"do_train": False, "model_path": f"{first['run']}/checkpoint_best"}
    assert run_textbox("BERT2BERT", "toy", config_dict=config)["loss"] == first["loss"]


def test_ctrl_gets_an_end_of_text(workplace: Path) -> None:
    tokenizer = with_files(workplace, "CTRLTokenizer", "@@", "<unk>")
    tokenizer.save_pretrained("ctrl")
    sizes = {"n_embd": 32, "dff": 48, "n_layer": 2, "n_head": 4, "n_positions": 64}
    transformers.CTRLLMHeadModel(transformers.CTRLConfig(vocab_size=len(tokenizer), **sizes)).save_pretrained("ctrl")
    config = tiny_peer("CTRL", model_path="ctrl", max_steps=1, quick_test=8)
    del config["vocab_size"]
    first = run_textbox("CTRL", "toy", config_dict=config)
    best = f"{first['run']}/checkpoint_best"
    saved = transformers.AutoModelForCausalLM.from_pretrained(best)
    assert saved.get_input_embeddings().num_embeddings == len(tokenizer) + 1
    assert saved.generation_config.eos_token_id == len(tokenizer)
    again = run_textbox("CTRL", "toy", config_dict=config | {"do_train": False, "model_path": best})
    assert again["loss"] == first["loss"]
