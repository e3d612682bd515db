"""ELMER as a checkout finds it once it is registered: model, trainer, tokenizer, collator, configuration."""

import math
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file

from tests.conftest import TINY_BART
from textbox_elmer import ElmerForConditionalGeneration
from textbox_elmer.errors import UserError
from textbox_elmer.pretraining import PretrainingCollator
from textbox_elmer.runtime.data import load_split, train_tokenizer, training_texts
from textbox_elmer.termination import Terminated, listening
from textbox_elmer.textbox_plugin import register

SIZES = {"d_model": 16, "vocab_size": 300, "encoder_attention_heads": 2, "decoder_attention_heads": 2, **TINY_BART}


def config(**changes: Any) -> Any:
    from textbox.config.configurator import Config

    return Config("ELMER", "toy", None, SIZES | changes)


@pytest.fixture
def tokenizer(registered: Path, workplace: Path) -> Any:
    from textbox.utils.utils import get_tokenizer

    return get_tokenizer(config())


def elmer(tokenizer: Any, **changes: Any) -> Any:
    from textbox.utils.utils import get_model

    torch.manual_seed(0)
    return get_model("ELMER")(config(**changes), tokenizer)


BATCH = {
    "source_ids": torch.tensor([[0, 9, 8, 2], [0, 7, 2, 1]]),
    "source_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]),
    "target_ids": torch.tensor([[0, 9, 2, -100], [0, 8, 7, 2]]),
}


def test_registering_twice_changes_nothing_more(registered: Path) -> None:
    from textbox.config.configurator import Config
    from textbox.data.abstract_dataset import AbstractDataset
    from textbox.quick_start import experiment

    before = (Config.__init__, AbstractDataset.__getitem__, experiment.get_tokenizer, experiment.os)
    assert register() == registered
    assert before == (Config.__init__, AbstractDataset.__getitem__, experiment.get_tokenizer, experiment.os)


def test_one_checkout_a_process(registered: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    os.symlink(registered, tmp_path / "link")
    register(tmp_path / "link")
    (registered / "textbox").rename(registered / "gone")
    with pytest.raises(UserError, match="no TextBox checkout"):
        register(registered)
    (registered / "gone").rename(registered / "textbox")
    shutil.copytree(registered, other)
    with pytest.raises(UserError, match=f"imported from '{other}', but this process has imported that of"):
        register(other)


def test_the_checkout_is_not_written_to(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = {path: path.read_bytes() for path in stand_in.rglob("*") if path.is_file()}
    register(stand_in)
    assert before == {path: path.read_bytes() for path in stand_in.rglob("*") if path.is_file()}


def test_what_the_checkout_finds(registered: Path) -> None:
    from textbox.data.utils import collate_options
    from textbox.model.abstract_model import AbstractModel
    from textbox.trainer.trainer import Trainer
    from textbox.utils.utils import get_model, get_trainer

    assert issubclass(get_model("ELMER"), AbstractModel)
    assert issubclass(get_trainer("ELMER"), Trainer)
    assert get_trainer("BART") is Trainer
    assert set(collate_options) == {"disabled", "lplm"}
    assert collate_options["lplm"].get_type() == "lplm (ELMER)"


def test_the_tokenizer_is_the_embedded_hosts(tokenizer: Any, workplace: Path) -> None:
    ours = train_tokenizer(training_texts(load_split(workplace / "dataset" / "toy", "train")), 300)
    assert tokenizer.get_vocab() == ours.get_vocab()
    assert tokenizer("alpha beta")["input_ids"] == ours("alpha beta")["input_ids"]
    assert tokenizer.padding_side == "right"


def test_a_named_tokenizer_is_loaded(tokenizer: Any, tmp_path: Path) -> None:
    from textbox.quick_start.experiment import get_tokenizer

    tokenizer.save_pretrained(tmp_path / "tokenizer")
    loaded = get_tokenizer(config(tokenizer_path=str(tmp_path / "tokenizer"), vocab_size=261))
    assert loaded.get_vocab() == tokenizer.get_vocab()


def test_a_vocabulary_too_small(registered: Path, workplace: Path) -> None:
    from textbox.utils.utils import get_tokenizer

    with pytest.raises(UserError, match="vocab_size is 100, but bytes and special tokens alone are 261"):
        get_tokenizer(config(vocab_size=100))


def test_layers_of_the_configuration(registered: Path) -> None:
    values = config(d_model=64).final_config_dict
    assert values["d_model"] == 64, "what is typed wins"
    assert values["max_position_embeddings"] == 1024, "ELMER.yaml gives the rest"
    assert values["label_smoothing"] == 0.0, "ELMER.yaml wins over overall.yaml"
    assert values["tgt_len"] == 10, "and the dataset's file over both"
    assert values["generation_kwargs"] == {}, "but for sampling, which means nothing here"
    assert values["model_name"] == "bart"


def test_a_dataset_without_properties(registered: Path) -> None:
    from textbox.config.configurator import Config

    (registered / "textbox/properties/model").mkdir()
    (registered / "textbox/properties/model/bart.yaml").write_text("src_len: 7\nepochs: 6\n")
    values = Config("BART", "mine", None, {"tgt_len": 9}).final_config_dict
    assert [values[key] for key in ("src_len", "tgt_len", "epochs", "seed")] == [512, 9, 6, 2020]
    shipped = Config("ELMER", "apidoc").final_config_dict
    assert (shipped["src_len"], shipped["tgt_len"], shipped["metrics"]) == (64, 24, ["rouge"])
    assert shipped["d_model"] == 128
    assert "scheduler" not in shipped, "TextBox's schedules want to be told how many steps there are"


def test_a_checkpoint_brings_its_own_sizes(registered: Path) -> None:
    from textbox.config.configurator import Config

    values = Config("ELMER", "toy", None, {"model_path": "somewhere"}).final_config_dict
    assert not {"d_model", "vocab_size", "encoder_layers", "dropout"} & set(values)
    values = Config("ELMER", "toy", None, {"config_path": "somewhere"}).final_config_dict
    assert "d_model" not in values
    assert values["vocab_size"] == 4000


def test_the_models_name_in_any_case(registered: Path) -> None:
    from textbox.config.configurator import Config

    assert Config("elmer", "toy").final_config_dict["model"] == "ELMER"


@pytest.mark.parametrize(
    ("given", "key", "expected"),
    [
        ({"saved_dir": "/a/b"}, "saved_dir", "/a/b/"),
        ({"saved_dir": "/a/b/"}, "saved_dir", "/a/b/"),
        ({"do_train": False}, "do_valid", False),
        ({}, "do_valid", True),
        ({"pretrain_task": "disabled"}, "pretrain_task", None),
        ({"metrics_for_best_model": ["loss"]}, "metrics_for_best_model", ["loss"]),
        (
            {"metrics": ["rouge", "self_bleu", "ter", "qa"], "rouge_max_ngrams": 2, "self_bleu_max_ngrams": 1},
            "metrics_for_best_model",
            ["rouge-1", "rouge-2", "rouge-l", "self-bleu-1", "self_bleu", "em", "f1"],
        ),
        ({}, "rouge_type", "rouge"),
        ({"rouge_type": "files2rouge"}, "rouge_type", "files2rouge"),
        ({"pretrain_task": "lplm", "src_len": 33}, "tgt_len", 33),
        ({"pretrain_task": "lplm"}, "find_unused_parameters", True),
        ({"exit_mode": "last"}, "find_unused_parameters", True),
        ({"exit_mode": "soft"}, "find_unused_parameters", None),
        ({"generation_kwargs": {"num_beams": 2}}, "generation_kwargs", {"num_beams": 2}),
    ],
)
def test_what_is_settled(registered: Path, given: dict[str, Any], key: str, expected: Any) -> None:
    assert config(**given)[key] == expected


def test_other_models_keep_their_configuration(registered: Path) -> None:
    from textbox.config.configurator import Config

    values = Config("BART", "toy").final_config_dict
    assert values["generation_kwargs"] == {"do_sample": True}
    assert values["label_smoothing"] == 0.1
    assert "d_model" not in values


def test_forward_is_the_models_loss_on_a_fixed_canvas(tokenizer: Any) -> None:
    model = elmer(tokenizer).eval()
    labels = torch.full((2, 10), -100)
    labels[0, :2], labels[1, :3] = torch.tensor([9, 2]), torch.tensor([8, 7, 2])
    expected = model.model(BATCH["source_ids"], BATCH["source_mask"], labels=labels).loss
    assert torch.equal(model(BATCH, epoch_idx=3), expected)
    longer = BATCH | {"target_ids": torch.nn.functional.pad(BATCH["target_ids"], (0, 4), value=-100)}
    assert torch.equal(model(longer), expected), "padding of the targets says nothing"


def test_label_smoothing_is_for_training(tokenizer: Any) -> None:
    plain, smooth = (
        elmer(
            tokenizer,
            label_smoothing=amount,
            alignment="position",
            canvas_scale=1,
            copy_source=False,
            dropout=0.0,
            gold_mixing=0.0,
        )
        for amount in (0.0, 0.3)
    )
    assert plain.eval()(BATCH) == smooth.eval()(BATCH)
    assert plain.train()(BATCH) != smooth.train()(BATCH)


def test_generate_returns_lines(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = elmer(tokenizer)
    texts = model.generate(BATCH, Accelerator(cpu=True))
    ids = model.model.generate(BATCH["source_ids"], BATCH["source_mask"], max_length=10)
    expected = tokenizer.batch_decode(ids, skip_special_tokens=True)
    assert texts == [" ".join(text.splitlines()).strip() or "NULL" for text in expected]
    monkeypatch.setattr(tokenizer, "batch_decode", lambda *args, **kwargs: ["a\nb ", "  "], raising=False)
    assert model.generate(BATCH, Accelerator(cpu=True)) == ["a b", "NULL"]


def test_generate_never_sees_a_reference(tokenizer: Any) -> None:
    model, accelerator = elmer(tokenizer), Accelerator(cpu=True)
    sources = {key: BATCH[key] for key in ("source_ids", "source_mask")}
    assert model.generate(sources, accelerator) == model.generate(BATCH, accelerator)


def test_checkpoints_are_any_hosts(tokenizer: Any, tmp_path: Path) -> None:
    model = elmer(tokenizer)
    model.save_pretrained(tmp_path / "saved")
    plain = ElmerForConditionalGeneration.from_pretrained(tmp_path / "saved")
    assert (plain.config.canvas_length, plain.config.mask_token_id) == (10, tokenizer.mask_token_id)
    assert all(torch.equal(weight, plain.state_dict()[name]) for name, weight in model.model.state_dict().items())
    loaded = elmer(tokenizer, model_path=str(tmp_path / "saved"))
    with torch.no_grad():
        model.model.lm_head.weight.zero_()
    model.from_pretrained(tmp_path / "saved")
    for other in (loaded, model):
        weights = other.model.state_dict()
        assert all(torch.equal(weight, weights[name]) for name, weight in plain.state_dict().items())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"encoder_attention_heads": 5}, "ELMER cannot be built from these sizes: d_model 16 is not divisible by 5"),
        ({"exit_mode": "early"}, "cannot be built from these sizes: .*exit_mode"),
        ({"tgt_len": 2048}, "tgt_len is 2048, but the model has 1024 positions"),
        (
            {"generation_kwargs": {"num_beams": 4}},
            "generation_kwargs does not suit ELMER: num_beams is for decoding=beam",
        ),
        ({"efficient_methods": ["lora"]}, "ELMER knows no efficient_methods"),
        ({"model_path": "nowhere"}, "can be read from 'nowhere'"),
    ],
)
def test_mistakes(tokenizer: Any, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], sentence: str) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=sentence):
        elmer(tokenizer, **changes)


@pytest.mark.parametrize("kind", ["mask", "bos", "eos", "pad"])
def test_a_tokenizer_without_a_special_token(tokenizer: Any, kind: str) -> None:
    setattr(tokenizer, f"{kind}_token", None)
    with pytest.raises(UserError, match=f"has no {kind} token, which ELMER needs for its canvas"):
        elmer(tokenizer)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda weights: weights.pop("model.decoder.layers.1.fc1.bias"), "lacks model.decoder.layers.1.fc1.bias"),
        (
            lambda weights: weights.update({"model.decoder.layers.1.fc1.bias": torch.zeros(7)}),
            r"\(7 there, 48 needed\)",
        ),
    ],
    ids=["missing", "misfitting"],
)
def test_damaged_checkpoints(tokenizer: Any, tmp_path: Path, spoil: Any, sentence: str) -> None:
    elmer(tokenizer).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    spoil(weights)
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=sentence):
        elmer(tokenizer, model_path=str(tmp_path))


TEXTS = [
    "Alpha beta gamma. Delta epsilon zeta eta theta.",
    "Iota kappa. Lambda mu! Nu xi omicron?",
    "Pi rho sigma tau.",
]


def test_lplm_corrupts_as_the_embedded_host(tokenizer: Any) -> None:
    from textbox.data.abstract_dataset import AbstractDataset
    from textbox.data.utils import collate_options

    settings = config(pretrain_task="lplm", src_len=32, mask_ratio=0.5, poisson_lambda=2.0)
    collate = collate_options["lplm"](settings, tokenizer, "train")
    collate.epoch = 4
    dataset = AbstractDataset({"texts": TEXTS}, "train")
    batch = collate([dataset[2], dataset[0]])
    ours = PretrainingCollator(tokenizer, 2020, 32, 0.5, 2.0, canvas_positions=1024, canvas_scale=2, exit_layers=2)(
        [{"text": TEXTS[number], "index": number, "epoch": 4} for number in (2, 0)]
    )
    assert torch.equal(batch["source_ids"], ours["input_ids"])
    assert torch.equal(batch["source_mask"], ours["attention_mask"])
    assert torch.equal(batch["target_ids"][:, 1:], ours["labels"])
    assert batch["target_ids"][:, 0].tolist() == [tokenizer.bos_token_id] * 2
    assert torch.equal(batch["exit_layers"], ours["exit_layers"])
    assert torch.equal(batch["canvas_mask"], ours["decoder_attention_mask"])
    assert batch["source_text"] == [TEXTS[2], TEXTS[0]]

    model = elmer(tokenizer, pretrain_task="lplm", src_len=32).eval()
    assert torch.equal(model(batch), model.model(**ours).loss)


def test_noise_is_fresh_every_epoch(tokenizer: Any) -> None:
    from textbox.data.utils import collate_options
    from textbox.utils.utils import get_trainer

    collate = collate_options["lplm"](config(pretrain_task="lplm"), tokenizer, "train")
    samples = [{"source_text": text, "index": number} for number, text in enumerate(TEXTS)]
    loader = torch.utils.data.DataLoader(samples, collate_fn=collate)
    trainer = get_trainer("ELMER")(config(), elmer(tokenizer), None)
    batches = []
    for epoch in (1, 2, 1):
        trainer._train_epoch(loader, epoch)
        batches.append(collate(samples)["source_ids"])
    assert torch.equal(batches[0], batches[2])
    assert batches[0].shape != batches[1].shape or not torch.equal(batches[0], batches[1])
    trainer._train_epoch(torch.utils.data.DataLoader(samples), 1)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [({"mask_ratio": 1.5}, "mask_ratio is a share"), ({"poisson_lambda": 0}, "poisson_lambda is above 0")],
)
def test_lplm_mistakes(tokenizer: Any, changes: dict[str, Any], sentence: str) -> None:
    from textbox.data.utils import collate_options

    with pytest.raises(UserError, match=sentence):
        collate_options["lplm"](config(**changes), tokenizer, "train")


def test_lplm_is_elmers_alone(tokenizer: Any) -> None:
    from textbox.config.configurator import Config
    from textbox.data.utils import collate_options

    with pytest.raises(UserError, match="permutes exit layers, and BART has none"):
        collate_options["lplm"](Config("BART", "toy"), tokenizer, "train")


def test_a_checkpoint_of_another_training_only_gives_its_weights(tokenizer: Any, tmp_path: Path) -> None:
    from textbox.utils.utils import get_trainer

    trainer = get_trainer("ELMER")(config(), elmer(tokenizer), None)
    record = {"config": {"model": "ELMER", "dataset": "toy", "pretrain_task": "lplm", "optimizer": "adamw"}}
    torch.save(record, tmp_path / "textbox_configuration.pt")
    trainer.resume_checkpoint(str(tmp_path))
    assert not hasattr(trainer, "resumed")
    trainer.config["do_train"] = False
    trainer.resume_checkpoint("nowhere")


def test_a_training_goes_on_with_all_of_its_state_or_not_at_all(tokenizer: Any, tmp_path: Path) -> None:
    from textbox.utils.utils import get_trainer

    trainer = get_trainer("ELMER")(config(optimizer="adafactor"), elmer(tokenizer), None)
    record, optimizer = tmp_path / "textbox_configuration.pt", tmp_path / "optimizer.pt"
    for content, sentence in (
        (b"damaged", r"is damaged \(cut off, or no file of plain values and tensors\): .*--resume_training=False"),
        ({"config": 5}, r"textbox_configuration.pt' is damaged \(it is no record"),
        (
            {"config": {"model": "ELMER", "dataset": "toy", "pretrain_task": None, "optimizer": "adamw"}},
            "by another op",
        ),
        ({"config": {"model": "ELMER", "dataset": "toy", "pretrain_task": None, "optimizer": "adafactor"}}, "missing"),
    ):
        record.write_bytes(content) if isinstance(content, bytes) else torch.save(content, record)
        with pytest.raises(UserError, match=sentence):
            trainer.resume_checkpoint(str(tmp_path))
    optimizer.write_bytes(record.read_bytes()[:200])
    with pytest.raises(UserError, match=r"optimizer.pt' is damaged \(cut off, or no file of plain values"):
        trainer.resume_checkpoint(str(tmp_path))
    record.unlink()
    with pytest.raises(UserError, match=r"textbox_configuration.pt' is missing, without which it would not go on"):
        trainer.resume_checkpoint(str(tmp_path))


def test_textbox_may_end_a_training_before_an_epoch_or_a_validation(tokenizer: Any) -> None:
    from textbox.trainer.trainer import Trainer

    trainer = Trainer(config(), elmer(tokenizer), None)
    assert math.isnan(trainer._train_epoch([], 0)["loss"])
    assert trainer._train_epoch([], 1)["loss"] == 0
    with pytest.raises(UserError, match="has not validated in all this training"):
        trainer.best_valid_result  # noqa: B018


def test_lines_of_data_are_never_evaluated(registered: Path) -> None:
    from textbox.data import misc

    assert misc.eval("'a text'") == "a text"
    assert misc.eval("['one', 'two']") == ["one", "two"]
    for line in ("[1]", "[__import__('os').getcwd()]", "{'a': 1}", "'"):
        with pytest.raises((ValueError, SyntaxError)):
            misc.eval(line)


def test_a_training_that_diverges_says_what_is_kept(
    tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from textbox.utils.utils import get_trainer

    monkeypatch.chdir(tmp_path)
    trainer = get_trainer("ELMER")(config(saved_dir="runs/"), elmer(tokenizer), Accelerator(cpu=True))
    trainer.model.progress = float
    with torch.no_grad():
        trainer.model.model.model.decoder.layers[0].fc1.weight.fill_(torch.nan)
    with pytest.raises(UserError, match=r"diverged at step 1 .*: no checkpoint was saved before; train with a smaller"):
        trainer.fit(BATCH)
    (tmp_path / "runs" / "checkpoint_epoch-3").mkdir(parents=True)
    with pytest.raises(UserError, match="its last good checkpoint is 'runs/checkpoint_epoch-3'; train with a smaller"):
        trainer.fit(BATCH)
    with pytest.raises(UserError, match="The test writes nothing, for the model's weights are no numbers"):
        trainer.evaluate(BATCH)


def test_sigterm_saves_the_weights(tokenizer: Any, tmp_path: Path) -> None:
    from textbox.utils.utils import get_trainer

    trained = elmer(tokenizer)
    trainer = get_trainer("ELMER")(config(saved_dir=f"{tmp_path}/", signalled=True), trained, Accelerator(cpu=True))
    with pytest.raises(Terminated) as raised, listening():
        trainer.fit(BATCH)
    saved = tmp_path / "checkpoint_stopped"
    assert str(raised.value) == f"the weights of step 1 are saved, train on from --model_path={saved}."
    weights = load_file(saved / "model.safetensors")
    assert torch.equal(weights["model.shared.weight"], trained.model.model.shared.weight)
    assert [path.name for path in tmp_path.iterdir() if "checkpoint" in path.name] == ["checkpoint_stopped"]
