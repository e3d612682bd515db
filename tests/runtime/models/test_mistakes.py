"""What users get wrong with particular models: one sentence, status 2, nothing left in `saved`."""

import json
from pathlib import Path

import pytest
from transformers import BertConfig, BertModel

from tests.conftest import FIXTURES, options
from tests.runtime.models.peers import tiny_peer
from textbox_elmer.cli import main

TOKENIZER = str(FIXTURES / "textbox" / "tokenizer")
MISTAKES = [
    ("GPT-2", {"n_positions": 30}, "but the model has 30 positions for both together (max_position_embeddings): give"),
    ("GPT-2", {"n_positions": 8}, "for both together (max_position_embeddings): give less of either."),
    ("LED", {"max_decoder_position_embeddings": 8}, "give --tgt_len=8 or less"),
    (
        "BERT2BERT",
        {"max_position_embeddings": 20},
        "src_len is 24 (set by command line), but the model has 20",
    ),
    ("XLM-RoBERTa", {"max_position_embeddings": 25}, "but the model has 23 positions"),
    ("GPT-Neo", {"num_layers": 3}, "GPT-Neo cannot be built from these sizes"),
    ("T5", {"num_layers": 1}, "its decoder has 2 layers and its encoder 1, which may not be fewer: give num_decoder_l"),
    ("T5", {"d_model": 10**8}, "T5 cannot be built from these sizes: its"),
    ("GPT-2", {"n_embd": 10**8}, "GPT-2 cannot be built from these sizes: its"),
    ("BERT2BERT", {"hidden_size": 10**8}, "BERT2BERT cannot be built from these sizes: its"),
    ("PEGASUS", {"max_position_embeddings": 10**12}, "PEGASUS cannot be built from these sizes: its"),
    ("GPT-2", {"n_layer": 10**9}, "n_layer is 1000000000 in the configuration, and no model has more than 1,000"),
    ("OPT", {"pretrain_task": "denoising"}, "OPT has no encoder to read it with: give an encoder-decoder model"),
    ("mBART", {"src_lang": None}, "mBART tells languages by their codes, and src_lang is not given: give --src_lang="),
    (
        "BERT2BERT",
        {"config_path": "t5"},
        "holds a model of type 't5', but --model=BERT2BERT loads 'encoder-decoder'",
    ),
    (
        "CPM",
        {"tokenizer_path": "cpm"},
        "The tokenizer 'cpm' needs the package sentencepiece: pip install sentence",
    ),
]


@pytest.mark.parametrize(("model", "changes", "sentence"), MISTAKES)
def test_mistakes(workplace: Path, capsys: pytest.CaptureFixture, model: str, changes: dict, sentence: str) -> None:
    for folder, name, content in (
        ("t5", "config.json", {"model_type": "t5"}),
        ("cpm", "tokenizer_config.json", {"tokenizer_class": "CpmTokenizer"}),
        ("cpm", "spiece.model", {}),
    ):
        (workplace / folder).mkdir(exist_ok=True)
        (workplace / folder / name).write_text(json.dumps(content))
    config = {key: value for key, value in tiny_peer(model, **changes).items() if value is not None}
    assert main(["--model", model, "--dataset=toy", *options(config)]) == 2
    (line,) = [line for line in capsys.readouterr().err.strip().splitlines() if "INFO" not in line]
    assert line.startswith("Error: ")
    assert sentence in line
    assert not (workplace / "saved").exists()


def test_a_bert_that_lacks_weights(workplace: Path, capsys: pytest.CaptureFixture) -> None:
    sizes = {"vocab_size": 300, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 48}
    BertModel(BertConfig(num_hidden_layers=1, **sizes), add_pooling_layer=False).save_pretrained("bert")
    config = tiny_peer("BERT2BERT", model_path="bert", tokenizer_path=TOKENIZER, num_hidden_layers=2)
    del config["vocab_size"]
    assert main(["--model=BERT2BERT", "--dataset=toy", *options(config)]) == 2
    assert "The checkpoint 'bert' lacks encoder.layer.1.attention.output.LayerNorm.bias" in capsys.readouterr().err
