"""Each bridge: the gap, what fills it, and that nothing is replaced where there is none."""

import os
import pickle
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import nltk
import numpy as np
import pytest
import torch
import yaml
from accelerate.state import GradientState
from rouge import Rouge
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import nn
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    modeling_utils,
)

from textbox_elmer.errors import UserError
from textbox_elmer.metrics import evaluate
from textbox_elmer.metrics.corpus import word_tokenize
from textbox_elmer.textbox_plugin import compat

SENTINEL = object()


def test_parameter_dtype(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(modeling_utils, "get_parameter_dtype", raising=False)
    compat.bridge_parameter_dtype()
    module = nn.ModuleList([nn.Embedding(2, 2).to(torch.bfloat16), nn.Linear(2, 2)])
    assert modeling_utils.get_parameter_dtype(module) == torch.bfloat16
    monkeypatch.setattr(modeling_utils, "get_parameter_dtype", SENTINEL)
    compat.bridge_parameter_dtype()
    assert modeling_utils.get_parameter_dtype is SENTINEL


def test_end_of_dataloader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(GradientState, "_set_end_of_dataloader", raising=False)
    compat.bridge_end_of_dataloader()
    state = GradientState()
    before = state.end_of_dataloader
    state._set_end_of_dataloader(not before)
    assert state.end_of_dataloader == before, "each loader says so itself"
    monkeypatch.setattr(GradientState, "_set_end_of_dataloader", SENTINEL)
    compat.bridge_end_of_dataloader()
    assert GradientState._set_end_of_dataloader is SENTINEL


VOCABULARY = {token: number for number, token in enumerate(["<s>", "</s>", "<unk>", "de", "en", "a", "b", "c"])}


def tokenizer(post_processor: Any, unk: str | None = "<unk>") -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.WordLevel(VOCABULARY, unk_token=unk or "nothing"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    if post_processor is not None:
        backend.post_processor = post_processor
    return PreTrainedTokenizerFast(tokenizer_object=backend)


def template(single: str, pair: str) -> Any:
    return processors.TemplateProcessing(single=single, pair=pair, special_tokens=list(VOCABULARY.items())[:5])


POST_PROCESSORS = {
    "BART's": processors.RobertaProcessing(("</s>", 1), ("<s>", 0)),
    "BERT's": processors.BertProcessing(("</s>", 1), ("<s>", 0)),
    "T5's": template("$A </s>", "$A </s> $B </s>"),
    "GPT-2's": None,
    "LLaMA's": template("<s> $A", "<s> $A <s> $B"),
    "mBART's": template("$A </s> de", "$A $B </s> de"),
    "NLLB's": template("de $A </s>", "de $A $B </s>"),
    "in a sequence": processors.Sequence([processors.ByteLevel(), template("<s> $A </s>", "<s> $A $B </s>")]),
}


@pytest.fixture
def special_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(PreTrainedTokenizerFast, "build_inputs_with_special_tokens", raising=False)
    compat.bridge_special_tokens()


@pytest.mark.usefixtures("special_tokens")
@pytest.mark.parametrize("name", POST_PROCESSORS)
@pytest.mark.parametrize("texts", [("a b",), ("c",), ("a b", "c c c"), ("<s> a </s>",)])
def test_special_tokens_are_the_post_processors(name: str, texts: tuple[str, ...]) -> None:
    made = tokenizer(POST_PROCESSORS[name])
    bare = [made(text, add_special_tokens=False)["input_ids"] for text in texts]
    assert made.build_inputs_with_special_tokens(*bare) == made(*texts)["input_ids"]


@pytest.mark.usefixtures("special_tokens")
def test_special_tokens_follow_the_post_processor() -> None:
    made = tokenizer(POST_PROCESSORS["mBART's"])
    assert made.build_inputs_with_special_tokens([5]) == [5, 1, 3]
    made.backend_tokenizer.post_processor = template("$A </s> en", "$A $B </s> en")
    assert made.build_inputs_with_special_tokens([5]) == [5, 1, 4]
    assert made.build_inputs_with_special_tokens([]) == [1, 4]


@pytest.mark.usefixtures("special_tokens")
def test_special_tokens_of_a_tokenizer_that_knows_no_other_word() -> None:
    backend = Tokenizer(models.BPE({"<s>": 0}, []))
    backend.post_processor = template("<s> $A", "<s> $A $B")
    with pytest.raises(UserError, match="give another by --tokenizer_path"):
        PreTrainedTokenizerFast(tokenizer_object=backend).build_inputs_with_special_tokens([5])


def test_special_tokens_of_old_transformers_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PreTrainedTokenizerFast, "build_inputs_with_special_tokens", SENTINEL, raising=False)
    compat.bridge_special_tokens()
    assert PreTrainedTokenizerFast.build_inputs_with_special_tokens is SENTINEL


@pytest.fixture
def no_nltk_data(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(nltk.tokenize, "PunktTokenizer", nltk.tokenize.punkt.PunktTokenizer)
    monkeypatch.setattr(nltk.data, "path", [])
    nltk.tokenize._get_punkt_tokenizer.cache_clear()
    yield
    nltk.tokenize._get_punkt_tokenizer.cache_clear()


TEXT = 'Mr. Smith didn\'t go. "Why?" he asked... Dr. No, e.g., stayed at 5 p.m. today'


@pytest.mark.usefixtures("no_nltk_data")
def test_punkt() -> None:
    with pytest.raises(LookupError):
        nltk.word_tokenize(TEXT)
    compat.bridge_punkt()
    compat.bridge_punkt()
    assert nltk.word_tokenize(TEXT) == word_tokenize(TEXT)
    assert nltk.sent_tokenize(TEXT)[:2] == ["Mr. Smith didn't go.", '"Why?"']
    with pytest.raises(LookupError):
        nltk.sent_tokenize(TEXT, language="german")


@pytest.mark.usefixtures("no_nltk_data")
def test_downloaded_punkt_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nltk.data, "find", lambda name: name)
    compat.bridge_punkt()
    assert nltk.tokenize.PunktTokenizer is nltk.tokenize.punkt.PunktTokenizer


def test_rouge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rouge, "get_scores", getattr(Rouge.get_scores, "__wrapped__", Rouge.get_scores))
    generated, references = [". .", "the cat", "a dog"], ["a cat", "the cat sat", "..."]
    with pytest.raises(ValueError, match="is empty"):
        Rouge().get_scores(generated, references, avg=True)
    plain = Rouge().get_scores(generated[1], references[1])
    compat.bridge_rouge()
    compat.bridge_rouge()
    assert Rouge().get_scores(generated[1], references[1]) == plain
    scores = Rouge().get_scores(generated, references, avg=True)
    ours = evaluate(generated, references, {"metrics": ["rouge"]})
    assert 100 * scores["rouge-l"]["f"] == pytest.approx(ours["rouge-l"], abs=0.01)
    limit = sys.getrecursionlimit()
    long = " ".join(str(number) for number in range(1100))
    assert Rouge().get_scores(long, long)[0]["rouge-l"]["f"] > 0.99
    assert sys.getrecursionlimit() == limit


class SetsGeneration:
    """Does with a model's configuration what TextBox's models do."""

    def __init__(self, model: Any) -> None:
        self.model, self.configuration = model, model.config
        self.configuration.eos_token_id = 2

    def generate_setting(self, config: Any) -> None:
        self.start = self.configuration.decoder_start_token_id


SIZES = {"d_model": 8, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8}
HEADS = {"encoder_attention_heads": 1, "decoder_attention_heads": 1}


def test_generation_settings(tmp_path: Path) -> None:
    class Model(SetsGeneration):
        generate_setting = SetsGeneration.generate_setting

    compat.bridge_generation_settings(Model)
    compat.bridge_generation_settings(Model)
    bart = BartForConditionalGeneration(BartConfig(vocab_size=9, **SIZES, **HEADS))
    shell = Model(bart)
    shell.configuration.forced_bos_token_id = 7
    with pytest.raises(ValueError, match="forced_bos_token_id"):
        bart.generate(torch.tensor([[3, 2]]), max_length=4)
    shell.generate_setting({})
    assert shell.start == bart.config.decoder_start_token_id
    assert bart.generate(torch.tensor([[3, 2]]), max_length=4)[0, 1] == 7
    assert bart.config.eos_token_id == 2, "a field of the model's own stays"
    bart.config.save_pretrained(tmp_path)

    gpt2 = Model(GPT2LMHeadModel(GPT2Config(vocab_size=9, n_embd=8, n_layer=1, n_head=1)))
    gpt2.generate_setting({})
    assert gpt2.start is None


class Config:
    """What TextBox's class does, were it called: evaluate."""

    def __init__(self, *arguments: Any) -> None:
        raise AssertionError("called")

    def __getitem__(self, key: str) -> Any:
        raise AssertionError("asked")


class Timestamp:
    pass


Config.__module__, Timestamp.__module__ = "textbox.config.configurator", "textbox.utils.dashboard"


class Calls:
    """Pickles as a call of any function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.fixture
def textbox_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A record of a training as TextBox saves it."""
    for name in ("textbox", "textbox.config", "textbox.utils", Config.__module__, Timestamp.__module__):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules[Config.__module__].Config, sys.modules[Timestamp.__module__].Timestamp = Config, Timestamp
    config, reached = Config.__new__(Config), Timestamp()
    config.final_config_dict = {"seed": 7, "device": torch.device("cpu"), "model": "ELMER"}
    config.yaml_loader, config.all_parameters = yaml.FullLoader, {"seed"}
    reached.train_epoch = 3
    path = tmp_path / "textbox_configuration.pt"
    torch.save({"config": config, "timestamp": reached, "best_valid_score": np.float64(41.5)}, path)
    return path


def test_checkpoints(textbox_checkpoint: Path) -> None:
    before = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        with pytest.raises(pickle.UnpicklingError):
            torch.load(textbox_checkpoint)
        compat.bridge_checkpoints(Timestamp)
        loaded = torch.load(textbox_checkpoint)
    finally:
        torch.serialization.add_safe_globals(before)
    assert loaded["timestamp"].train_epoch == 3
    assert loaded["best_valid_score"] == 41.5
    config = loaded["config"]
    assert (config["seed"], config["model"], config["nothing"]) == (7, "ELMER", None)
    assert not isinstance(config, Config), "the class that evaluates is never built"


@pytest.mark.usefixtures("textbox_checkpoint")
@pytest.mark.parametrize(
    "call",
    [Calls(os.system, "touch pwned"), Calls(eval, "1"), Calls(Config, "m", "d", None, {"a": "b"})],
    ids=["shell", "eval", "configuration"],
)
def test_no_checkpoint_runs_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Calls) -> None:
    monkeypatch.chdir(tmp_path)
    compat.bridge_checkpoints(Timestamp)
    torch.save({"config": call}, tmp_path / "evil.pt")
    with pytest.raises((pickle.UnpicklingError, TypeError)):
        torch.load(tmp_path / "evil.pt")
    assert not (tmp_path / "pwned").exists()


@pytest.fixture
def experiment() -> SimpleNamespace:
    module = SimpleNamespace(os=os)
    compat.bridge_wandb_command(module)
    compat.bridge_wandb_command(module)
    return module


def test_wandb_command(experiment: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    experiment.os.system("wandb disabled")
    assert os.environ["WANDB_MODE"] == "disabled"
    assert experiment.os.path is os.path
    assert experiment.os is not os


@pytest.mark.parametrize("command", ["wandb disabled; touch pwned", "touch pwned", "wandb "])
def test_no_other_command_is_run(
    command: str, experiment: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="wandb is one of online, offline, disabled"):
        experiment.os.system(command)
    assert not (tmp_path / "pwned").exists()


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compat, "find_spec", lambda name: None)
    for package in ("wandb", "hyperopt", "past", "fast_bleu"):
        monkeypatch.delitem(sys.modules, package, raising=False)


@pytest.mark.usefixtures("missing")
def test_wandb_stand_in_does_nothing() -> None:
    with compat.stand_ins():
        wandb = import_module("wandb")
    assert wandb.init(reinit=False, project="p") is None
    wandb.log({"loss": 1.0}, step=1)
    wandb.alert(title="t", level=wandb.AlertLevel.ERROR)
    wandb.Table(columns=["step"]).add_data(1, "text")
    assert "wandb" not in sys.modules, "other libraries must get the true answer"


@pytest.mark.usefixtures("missing")
def test_hyperopt_stand_in_says_what_is_missing() -> None:
    with compat.stand_ins():
        from hyperopt import fmin, tpe
        from hyperopt.pyll.base import Apply

    for use in (lambda: fmin(fn=1), lambda: tpe.suggest, lambda: Apply()):
        with pytest.raises(UserError, match="needs the package hyperopt, which is not installed: pip install hyperopt"):
            use()


@pytest.mark.usefixtures("missing")
def test_division_stand_in() -> None:
    with compat.stand_ins():
        old_div = import_module("past.utils").old_div
    assert (old_div(7, 2), old_div(7.0, 2), old_div(-7, 2)) == (3, 3.5, -4)


@pytest.mark.usefixtures("missing")
def test_self_bleu_stand_in_scores_as_the_embedded_host() -> None:
    texts = ["the cat sat on the mat", "the cat sat there", "a dog", "on the mat sat the cat today"]
    with compat.stand_ins():
        self_bleu = import_module("fast_bleu").SelfBLEU
    weights = {"self-bleu-1": [1.0, 0.0], "self-bleu-2": [0.5, 0.5]}
    scores = self_bleu([text.split() for text in texts], weights).get_score()
    config = {"metrics": ["self_bleu"], "self_bleu_max_ngrams": 2}
    ours = evaluate(texts, texts, config)
    for name in weights:
        assert 100 * sum(scores[name]) / len(texts) == pytest.approx(ours[name], abs=0.01)


def test_installed_packages_are_not_stood_in_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compat, "find_spec", lambda name: SENTINEL)
    before = dict(sys.modules)
    with compat.stand_ins():
        assert sys.modules == before
