"""The layers of a configuration: which wins, what is refused, what is saved."""

import re
from pathlib import Path, PurePosixPath

import pytest

from textbox_elmer.errors import UserError
from textbox_elmer.runtime.catalogue.models import MODELS
from textbox_elmer.runtime.config import format_config, resolve_config
from textbox_elmer.runtime.config.properties import properties_folders

DATASETS = ("apidoc", "samsum", "xsum", "cnndm", "squadqg", "coqaqg", "pc", "dd")


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory whose property files set `seed` in as many layers as a test writes."""
    for kind in ("model", "dataset"):
        (tmp_path / "properties" / kind).mkdir(parents=True)
    shipped = (next(properties_folders()) / "overall.yaml").read_text()
    (tmp_path / "properties" / "overall.yaml").write_text(shipped)
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
        text = (folders / path).read_text() if number == 0 else "seed: "
        (folders / path).write_text(re.sub(r"^seed:.*$", f"seed: {number}", text, flags=re.MULTILINE))
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
    config = resolve_config("BART", config_file_list=[file], command_line={"dataset": "apidoc"})
    assert (config.model, config.dataset) == ("BART", "apidoc")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dataset", DATASETS)
def test_shipped_properties_resolve(model: str, dataset: str) -> None:
    config = resolve_config(model, dataset)
    assert config["learning_rate"] > 0
    assert isinstance(config["learning_rate"], float)
    assert config["metrics"]
    assert config.model_fields()["vocab_size"] == 4000
    assert not set(config.model_fields()) & {"learning_rate", "metrics", "model"}
    assert (config["generation_kwargs"] == {}) == (model == "ELMER")


def test_a_checkpoint_brings_its_own_sizes(tmp_path: Path) -> None:
    scratch = resolve_config("ELMER", "apidoc")
    assert scratch.model_fields()["d_model"] == 128
    loaded = resolve_config("ELMER", "apidoc", None, None, {"model_path": "some/where", "exit_mode": "hard"})
    assert loaded.model_fields() == {"exit_mode": "hard"}
    loaded.save(tmp_path / "config.yaml")
    assert resolve_config(config_file_list=[tmp_path / "config.yaml"]).model_fields() == {"exit_mode": "hard"}


LEFT_OUT = ("efficient_methods", "efficient_kwargs", "email")
LEFT_OUT += ("is_chinese_task", "lightweight_tuning")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("learning_rat", 1, "Unknown option --learning_rat .*did you mean --learning_rate"),
        ("d_modle", 64, "did you mean --d_model"),
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
        ("src_len", 0, "src_len must be a whole number of at least 1"),
        ("tgt_len", -3, "tgt_len must be a whole number of at least 1"),
        ("accumulation_steps", 2.5, "accumulation_steps must be a whole number"),
        ("valid_strategy", "hourly", "valid_strategy must be one of epoch, step"),
        ("wandb", "off", "wandb must be one of disabled"),
        ("label_smoothing", 5, "label_smoothing must be a number from 0 to 1, not 5"),
        ("gold_mixing", 1.5, "gold_mixing must be a number from 0 to 1"),
        ("seed", 2**32, "seed must be a whole number from 0 to 4294967295"),
        ("seed", 10**400, "seed must be a whole number from 0 to"),
        ("learning_rate", 10**400, "learning_rate must be a number above 0"),
        ("epochs", None, "epochs must be a whole number of at least 1, not null .command line"),
        ("data_path", None, "data_path must be a text, not null"),
        ("prefix_prompt", True, "prefix_prompt must be a text, not True"),
        ("config_kwargs", ["a"], "config_kwargs must be a mapping"),
        *((key, "x", f"^{key} .command line. is a TextBox key that this version does not offer") for key in LEFT_OUT),
    ],
)
def test_value_mistakes(key: str, value: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        resolve_config("ELMER", "apidoc", None, None, {key: value})


def test_values_take_their_keys_kind() -> None:
    typed = {"epochs": "3", "learning_rate": "1e-3", "metrics": "rouge", "optimizer": "AdamW", "quick_test": True}
    config = resolve_config("BART", "apidoc", None, typed)
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
        (b"multi_seed: 5\n", "multi_seed .* is an option of the command line alone"),
        (b"email: true\n", "does not offer"),
        (b"when: 2020-99-99\n", "not valid YAML"),
        (b"metrics: " + b"[" * 5000, "not valid YAML"),
        (b"config_files: [a.yaml]\n", "config_files .*bad.yaml. is an option of the command line alone"),
        (b"debug: true\n", "debug .*bad.yaml. is an option of the command line alone"),
        (b"tgt_len: null\n", "tgt_len must be .* not null .*bad.yaml"),
    ],
)
def test_file_mistakes(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "bad.yaml").write_bytes(content)
    with pytest.raises(UserError, match=message):
        resolve_config("BART", "apidoc", [tmp_path / "bad.yaml"])


def test_missing_names_and_files() -> None:
    with pytest.raises(UserError, match="cannot be read"):
        resolve_config("BART", "apidoc", ["nowhere.yaml"])
    with pytest.raises(UserError, match="No dataset is named"):
        resolve_config("BART")
    with pytest.raises(UserError, match=r"no model called 'BRAT'.* Did you mean BART"):
        resolve_config("BRAT", "apidoc")


def test_mistakes_in_python() -> None:
    with pytest.raises(UserError, match=r"Unknown option learning_rat \(config_dict\): did you mean learning_rate\?"):
        resolve_config("BART", "apidoc", None, {"learning_rat": 1})
    with pytest.raises(UserError, match="Unknown option 5"):
        resolve_config("BART", "apidoc", None, {5: 1})
    with pytest.raises(UserError, match=r"d_model holds <object .*\(config_dict\)"):
        resolve_config("BART", "apidoc", None, {"d_model": object()})


def test_an_own_overall_file_that_lacks_something(folders: Path) -> None:
    (folders / "properties" / "overall.yaml").write_text("seed: 1\n")
    with pytest.raises(UserError, match=r"must be .*, but no file or option sets it: give --"):
        resolve_config("BART", "mine")


def test_textbox_keys_that_ask_for_nothing_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "theirs.yaml").write_text("efficient_methods: []\nefficient_kwargs: {}\npretrain_task: disabled\n")
    config = resolve_config("BART", "apidoc", [tmp_path / "theirs.yaml"], {"email": None}, {"multi_seed": False})
    assert config["efficient_methods"] == []


def test_null_for_a_name_does_not_hide_it() -> None:
    assert resolve_config("BART", "apidoc", None, None, {"model": None, "dataset": None}).dataset == "apidoc"


def test_command_line_names_its_config_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("seed: 1\nepochs: 7\n")
    (tmp_path / "b.yaml").write_text("seed: 2\n")
    options = {"config_files": [str(tmp_path / "b.yaml")], "debug": True}
    config = resolve_config("BART", "apidoc", [tmp_path / "a.yaml"], None, options)
    assert (config["seed"], config["epochs"]) == (2, 7)
    assert "config_files" not in config
    assert "debug" not in config


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("prefix_prompt: yes", "prefix_prompt", "yes"),
        ("filename: 007", "filename", "007"),
        ("filename: 2020-01-01", "filename", "2020-01-01"),
        ("model_path: null", "model_path", None),
        ("grad_clip: None", "grad_clip", None),
        ("grad_clip: 5e-1", "grad_clip", 0.5),
        ("state: WARNING", "state", "warning"),
    ],
)
def test_text_in_files_is_taken_as_written(tmp_path: Path, text: str, key: str, value: object) -> None:
    (tmp_path / "mine.yaml").write_text(text + "\n")
    config = resolve_config("BART", "apidoc", [tmp_path / "mine.yaml"])
    assert key in config
    assert config[key] == value


def test_values_given_in_python_are_copied() -> None:
    generation = {"stops": (1, 2)}
    given = {"generation_kwargs": generation, "data_path": PurePosixPath("some/where"), "epochs": 2.0}
    config = resolve_config("BART", "apidoc", None, given)
    generation["stops"] = None
    assert config["generation_kwargs"] == {"stops": [1, 2]}
    assert config["data_path"] == "some/where"
    assert isinstance(config["epochs"], int)


def test_sizes_that_the_user_gives_stay_with_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("d_model: 64\n")
    config = resolve_config("bart", "apidoc", [tmp_path / "mine.yaml"], {"model_path": "x", "dropout": 0.2})
    assert config.model_fields() == {"d_model": 64, "dropout": 0.2}


def test_keys_of_a_config_file_are_known(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("my_note: hello\n")
    config = resolve_config("BART", "apidoc", [tmp_path / "mine.yaml"], None, {"my_note": "changed"})
    assert config["my_note"] == "changed"


def test_shown_configuration_has_textbox_headings() -> None:
    text = format_config(resolve_config("ELMER", "apidoc"))
    assert [line for line in text.splitlines() if not line.startswith(" ")] == [
        "General:",
        "Training:",
        "Evaluation:",
        "Model:",
        "Dataset:",
    ]
    assert "  d_model = 128" in text


def distilled(folder: Path, name: str, of: str) -> None:
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "distill.json").write_text(f'{{"dataset": "{of}"}}')


def test_a_distilled_dataset_takes_the_settings_of_what_it_was_made_of(folders: Path) -> None:
    distilled(folders / "dataset", "short", "Samsum")
    distilled(folders / "dataset", "shorter", "short")
    distilled(folders / "dataset", "formal", "gyafc-em")
    original = resolve_config("BART", "samsum")
    for name in ("short", "shorter"):
        config = resolve_config("BART", name)
        assert config.dataset == name
        assert {**config, "dataset": ""} == {**original, "dataset": ""}
    assert resolve_config("BART", "formal").origin("metrics") == resolve_config("BART", "gyafc_em").origin("metrics")
    (folders / "properties" / "dataset" / "short.yaml").write_text("tgt_len: 7\n")
    assert resolve_config("BART", "shorter")["tgt_len"] == 7
    assert resolve_config("BART", "other")["tgt_len"] == resolve_config("BART", "none")["tgt_len"]


@pytest.mark.parametrize("layer", ["overall", "file", "config_dict", "command line"])
def test_a_distilled_dataset_is_found_wherever_data_path_says(folders: Path, layer: str) -> None:
    distilled(folders / "mine", "short", "xsum")
    (folders / "a.yaml").write_text("data_path: mine\n")
    if layer == "overall":
        path = folders / "properties" / "overall.yaml"
        path.write_text(path.read_text().replace("data_path: dataset/", "data_path: mine"))
    config = resolve_config(
        "BART",
        "short",
        ["a.yaml"] if layer == "file" else None,
        {"data_path": folders / "mine"} if layer == "config_dict" else None,
        {"data_path": "mine"} if layer == "command line" else None,
    )
    assert config["src_len"] == resolve_config("BART", "xsum")["src_len"] != resolve_config("BART", "none")["src_len"]


def test_datasets_that_name_each_other_end(folders: Path) -> None:
    distilled(folders / "dataset", "one", "other")
    distilled(folders / "dataset", "other", "one")
    assert resolve_config("BART", "one")["tgt_len"] == resolve_config("BART", "none")["tgt_len"]


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b"{}", b'{"dataset": 3}', b"[" * 10_000])
def test_a_damaged_record_is_said(folders: Path, content: bytes) -> None:
    distilled(folders / "dataset", "short", "samsum")
    (folders / "dataset" / "short" / "distill.json").write_bytes(content)
    with pytest.raises(UserError, match=r"dataset/short/distill.json' is damaged"):
        resolve_config("BART", "short")
