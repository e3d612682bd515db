"""The layers of a configuration: which wins, what is refused, what is saved."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from textbox_elmer.runtime.config import Config, format_config, parse_command_line, resolve_config
from textbox_elmer.runtime.errors import UserError
from textbox_elmer.runtime.models.registry import MODELS

DATASETS = ("pydoc", "samsum", "xsum", "cnndm", "squadqg", "coqaqg", "pc", "dd")


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory whose property files set `seed` in as many layers as a test writes."""
    for kind in ("model", "dataset"):
        (tmp_path / "properties" / kind).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


LAYERS = ("overall", "model", "dataset", "file", "later file", "config_dict", "command line")


@pytest.mark.parametrize("highest", range(len(LAYERS)))
def test_each_layer_beats_the_ones_below(folders: Path, highest: int) -> None:
    paths = [
        "properties/overall.yaml",
        "properties/model/BART.yaml",
        "properties/dataset/mine.yaml",
        "a.yaml",
        "b.yaml",
    ]
    for number, path in enumerate(paths[: highest + 1]):
        (folders / path).write_text(f"seed: {number}\n")
    files = [path for path in ("a.yaml", "b.yaml") if (folders / path).exists()]
    config_dict = {"seed": 5} if highest >= 5 else None
    command_line = {"seed": 6} if highest >= 6 else None
    config = resolve_config("bart", "mine", files, config_dict, command_line)
    assert config["seed"] == highest
    expected = {5: "config_dict", 6: "command line"}.get(highest) or paths[highest]
    assert config.origin("seed") == expected
    assert config.model == "BART"


def test_a_key_that_nothing_sets_is_none() -> None:
    config = resolve_config("BART", "samsum")
    assert config["model_path"] is None
    assert "model_path" not in config


def test_names_may_come_from_any_layer(tmp_path: Path) -> None:
    file = tmp_path / "names.yaml"
    file.write_text("model: T5\ndataset: xsum\n")
    config = resolve_config(config_file_list=[file])
    assert (config.model, config.dataset, config["tgt_len"]) == ("T5", "xsum", 64)
    config = resolve_config("BART", config_file_list=[file], command_line={"dataset": "pydoc"})
    assert (config.model, config.dataset) == ("BART", "pydoc")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dataset", DATASETS)
def test_shipped_properties_resolve(model: str, dataset: str) -> None:
    config = resolve_config(model, dataset)
    assert config["learning_rate"] > 0
    assert isinstance(config["learning_rate"], float)
    assert config["metrics"]
    assert config.model_fields()["vocab_size"] == 8000
    assert not set(config.model_fields()) & {"learning_rate", "metrics", "model"}
    assert (config["generation_kwargs"] == {}) == (model == "ELMER")


@pytest.mark.parametrize("model", MODELS)
def test_saved_configuration_repeats_the_run(model: str, tmp_path: Path) -> None:
    typed = ["--prefix_prompt=Frage – «was»: ", "--learning_rate=3e-5", "--max_steps=None", "--metrics=[rouge, bleu]"]
    typed += ["--saved_dir=" + str(tmp_path), "--generation_kwargs={num_beams: 2, early_stopping: null}"]
    config = resolve_config(model, "pc", None, {"suffix_prompt": "- yes"}, parse_command_line(typed))
    config.save(tmp_path / "config.yaml")
    again = resolve_config(config_file_list=[tmp_path / "config.yaml"])
    assert dict(again) == dict(config) == dict(Config.load(tmp_path / "config.yaml"))
    assert again["prefix_prompt"] == "Frage – «was»: "
    assert again["learning_rate"] == 3e-5
    assert "filename" not in again
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["model"] == model


def test_a_checkpoint_brings_its_own_sizes(tmp_path: Path) -> None:
    scratch = resolve_config("ELMER", "pydoc")
    assert scratch.model_fields()["d_model"] == 256
    loaded = resolve_config("ELMER", "pydoc", None, None, {"model_path": "some/where", "exit_mode": "hard"})
    assert loaded.model_fields() == {"exit_mode": "hard"}
    loaded.save(tmp_path / "config.yaml")
    assert resolve_config(config_file_list=[tmp_path / "config.yaml"]).model_fields() == {"exit_mode": "hard"}


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["--model=ELMER", "--dataset", "pydoc"], {"model": "ELMER", "dataset": "pydoc"}),
        (["-m", "BART", "-d", "xsum"], {"model": "BART", "dataset": "xsum"}),
        (["--learning_rate", "3e-5"], {"learning_rate": 3e-5}),
        (["--learning_rate=1E+2"], {"learning_rate": 100.0}),
        (["--exit_threshold=-1"], {"exit_threshold": -1}),
        (["--do_train=False", "--do_test=true"], {"do_train": False, "do_test": True}),
        (["--model_path=None"], {"model_path": None}),
        (["--grad_clip=None"], {"grad_clip": None}),
        (["--metrics=['rouge', 'bleu']"], {"metrics": ["rouge", "bleu"]}),
        (["--config_kwargs={'dropout': 0.2}"], {"config_kwargs": {"dropout": 0.2}}),
        (["--prefix_prompt=Summarize: "], {"prefix_prompt": "Summarize: "}),
        (["--prefix_prompt=yes"], {"prefix_prompt": "yes"}),
        (["--filename=2020"], {"filename": "2020"}),
        (["--gpu_id=0,1"], {"gpu_id": "0,1"}),
        (["--a=b=c"], {"a": "b=c"}),
        (["--config_files", "a.yaml", "b.yaml", "--seed=1"], {"config_files": ["a.yaml", "b.yaml"], "seed": 1}),
        (["--config_files=a.yaml", "--seed=1"], {"config_files": ["a.yaml"], "seed": 1}),
        (["--seed=1", "--seed=1"], {"seed": 1}),
    ],
)
def test_command_line(arguments: list[str], options: dict[str, Any]) -> None:
    assert parse_command_line(arguments) == options


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pydoc"], "'pydoc' is no option"),
        (["--seed"], "--seed needs a value"),
        (["--seed", "--model=BART"], "--seed needs a value"),
        (["--seed=1", "--seed=2"], "--seed is given twice"),
        (["--metrics=[rouge"], "--metrics is not valid YAML"),
        (["--config_files"], "at least one YAML file"),
    ],
)
def test_command_line_mistakes(arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_command_line(arguments)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("learning_rat", 1, "Unknown option --learning_rat .*did you mean --learning_rate"),
        ("d_modle", 64, "did you mean --d_model"),
        ("efficient_methods", ["lora"], "TextBox key that this version does not offer"),
        ("seed", "__import__('os')", "seed must be a whole number"),
        ("train_batch_size", 0, "train_batch_size must be a whole number of at least 1, not 0 .command line"),
        ("epochs", 1.5, "epochs must be a whole number"),
        ("learning_rate", "fast", "learning_rate must be a number above 0"),
        ("learning_rate", 0, "learning_rate must be a number above 0"),
        ("learning_rate", float("nan"), "learning_rate must be a number"),
        ("do_train", "perhaps", "do_train must be True or False"),
        ("optimizer", "adamm", "optimizer must be one of adamw"),
        ("scheduler", "exponential", "scheduler must be one of linear"),
        ("truncate", "middle", "truncate must be one of tail, head"),
        ("exit_mode", "early", "exit_mode must be one of soft, hard, last"),
        ("generation_kwargs", "beams", "generation_kwargs must be a mapping"),
        ("metrics", 3, "metrics must be a list"),
        ("quick_test", -1, "quick_test must be"),
    ],
)
def test_value_mistakes(key: str, value: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        resolve_config("ELMER", "pydoc", None, None, {key: value})


def test_values_take_their_keys_kind() -> None:
    typed = {"epochs": "3", "learning_rate": "1e-3", "metrics": "rouge", "optimizer": "AdamW", "quick_test": True}
    config = resolve_config("BART", "pydoc", None, typed)
    assert {key: config[key] for key in typed} == {
        "epochs": 3,
        "learning_rate": 0.001,
        "metrics": ["rouge"],
        "optimizer": "adamw",
        "quick_test": True,
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"seed: [1\nepochs: 2", "line 2 is not valid YAML"),
        (b"- seed\n", "key: value"),
        (b"seed: \xff\n", "UTF-8"),
        (b"epochs: none at all\n", "epochs must be a whole number .*bad.yaml"),
        (b"seed: !!python/object/apply:os.system [ls]\n", "not valid YAML"),
        (b"multi_seed: 5\n", "does not offer"),
    ],
)
def test_file_mistakes(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "bad.yaml").write_bytes(content)
    with pytest.raises(UserError, match=message):
        resolve_config("BART", "pydoc", [tmp_path / "bad.yaml"])


def test_missing_names_and_files() -> None:
    with pytest.raises(UserError, match="cannot be read"):
        resolve_config("BART", "pydoc", ["nowhere.yaml"])
    with pytest.raises(UserError, match="No dataset is named"):
        resolve_config("BART")
    with pytest.raises(UserError, match=r"no model called 'BRAT'.* Did you mean BART"):
        resolve_config("BRAT", "pydoc")


def test_keys_of_a_config_file_are_known(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("my_note: hello\n")
    config = resolve_config("BART", "pydoc", [tmp_path / "mine.yaml"], None, {"my_note": "changed"})
    assert config["my_note"] == "changed"


def test_shown_configuration_has_textbox_headings() -> None:
    text = format_config(resolve_config("ELMER", "pydoc"))
    assert [line for line in text.splitlines() if not line.startswith(" ")] == [
        "General:",
        "Training:",
        "Evaluation:",
        "Model:",
        "Dataset:",
    ]
    assert "  d_model = 256" in text
