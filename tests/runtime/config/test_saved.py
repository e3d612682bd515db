"""A saved configuration, given by `--config_files`, repeats the run."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from textbox_elmer.runtime.catalogue.models import MODELS
from textbox_elmer.runtime.config import Config, parse_command_line, resolve_config


def repeated(config: Config, folder: Path) -> Config:
    config.save(folder / "config.yaml")
    return resolve_config(config_file_list=[folder / "config.yaml"])


@pytest.mark.parametrize("model", MODELS)
def test_saved_configuration_repeats_the_run(model: str, tmp_path: Path) -> None:
    typed = ["--prefix_prompt=Frage – «was»: ", "--learning_rate=3e-5", "--max_steps=None", "--metrics=[rouge, bleu]"]
    typed += ["--saved_dir=" + str(tmp_path), "--generation_kwargs={num_beams: 2, early_stopping: null}", "--debug"]
    config = resolve_config(model, "pc", None, {"suffix_prompt": "- yes"}, parse_command_line(typed))
    again = repeated(config, tmp_path)
    assert dict(again) == dict(config) == dict(Config.load(tmp_path / "config.yaml"))
    assert again["prefix_prompt"] == "Frage – «was»: "
    assert again["learning_rate"] == 3e-5
    assert "filename" not in again
    assert "debug" not in again
    assert yaml.safe_load((tmp_path / "config.yaml").read_text(encoding="utf-8"))["model"] == model


TEXTS = [
    "",
    " x ",
    "a: b",
    "#c",
    "- x",
    "{a",
    "yes",
    "null",
    "None",
    "~",
    "007",
    "1e3",
    "3e-5",
    ".5E2",
    "2020-01-01",
    "1:30",
]
TEXTS += ["two\nlines\n", "\r\n", "\x85\u2028", "\x07", "😀 «é»", "'\"", "=", "!!int 3", "&a *a", "\ttab"]


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_is_saved_as_it_is(text: str, tmp_path: Path) -> None:
    config = resolve_config(
        "BART", "mine", None, {"prefix_prompt": text, "generation_kwargs": {"a": [text, {"b": text}]}}
    )
    again = repeated(config, tmp_path)
    assert config["prefix_prompt"] == again["prefix_prompt"] == text
    assert again["generation_kwargs"] == {"a": [text, {"b": text}]}


@pytest.mark.parametrize("number", [3e-5, 1e-10, 1e16, 1.0, 0.1, 1e300, 123456789012345678])
def test_any_number_is_saved_as_it_is(number: float, tmp_path: Path) -> None:
    again = repeated(resolve_config("BART", "mine", None, {"optimizer_kwargs": {"eps": number}}), tmp_path)
    assert again["optimizer_kwargs"] == {"eps": number}
    assert type(again["optimizer_kwargs"]["eps"]) is type(number)


@pytest.mark.parametrize(
    ("options", "rate"),
    [
        ({}, 1e-3),  # adafactor_kwargs of overall.yaml
        ({"learning_rate": 5e-4}, 5e-4),
        ({"adafactor_kwargs": {"lr": 2e-4}}, 2e-4),
    ],
)
def test_the_rate_of_adafactor_is_the_one_shown_and_saved(options: dict[str, Any], rate: float, tmp_path: Path) -> None:
    config = resolve_config("T5", "samsum", None, None, options)
    assert config["optimizer"] == "adafactor"
    assert config["learning_rate"] == rate
    assert repeated(config, tmp_path)["learning_rate"] == rate


def test_nothing_half_written_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = resolve_config("BART", "apidoc")
    config.save(tmp_path / "config.yaml")
    before = (tmp_path / "config.yaml").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        resolve_config("BART", "apidoc", None, {"seed": 1}).save(tmp_path / "config.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]
    assert (tmp_path / "config.yaml").read_bytes() == before
