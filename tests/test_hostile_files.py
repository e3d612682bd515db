"""Files that would hang, fill the memory or the screen: every command names them in a sentence, at once."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import write_toy
from textbox_elmer.cli import main

LAUGHS = "\n".join(
    ["a0: &a0 [lol]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)), "model: ELMER"]
)
HUGE = "1" + "0" * 400
Spoil = Callable[[Path], None]


def pipe(path: Path) -> None:
    os.mkfifo(path)


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.mkdir()


def endless(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def text(content: str) -> Spoil:
    return lambda path: path.write_text(content) and None


ANY: dict[str, Spoil] = {"pipe": pipe, "zeros": zeros, "folder": folder, "endless": endless}
YAML: dict[str, Spoil] = {"laughs": text(LAUGHS), "deep": text("- " * 50_000), "huge": text(f"seed: {HUGE}\n")}
JSON: dict[str, Spoil] = {
    "deep": text("[" * 99_999),
    "huge": text(f'{{"model": "M", "dataset": "toy", "loss": {HUGE}}}'),
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a dataset and a run, made by hand."""
    write_toy(tmp_path / "dataset" / "toy", {"train": 8, "valid": 2, "test": 2})
    run = tmp_path / "saved" / "run"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("model: ELMER\ndataset: toy\n")
    results = {"model": "ELMER", "dataset": "xsum", "metrics": {"rouge-1": 1.0}}
    (run / "results.json").write_text(json.dumps(results))
    (run / "generation.txt").write_text("One text.\nAnother text.\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def spoil(path: Path, how: Spoil) -> None:
    path.unlink(missing_ok=True)
    how(path)


def said(capfd: pytest.CaptureFixture, typed: list[str]) -> tuple[int, str]:
    """Run a command and return its status and all that it printed, which is little."""
    status = main(typed)
    printed = "".join(capfd.readouterr())
    assert len(printed) < 20_000
    assert "Traceback" not in printed
    return status, printed


@pytest.mark.parametrize("name", [*ANY, *YAML])
def test_configurations(name: str, place: Path, capfd: pytest.CaptureFixture) -> None:
    (ANY | YAML)[name](place / "my.yaml")
    status, printed = said(capfd, ["--model=ELMER", "--dataset=toy", "--config_files=my.yaml"])
    assert status == 2
    assert printed.startswith("Error: The config file 'my.yaml'")
    assert printed.count("\n") == 1


@pytest.mark.parametrize("name", [*ANY, *YAML])
def test_leaderboards(name: str, place: Path, capfd: pytest.CaptureFixture) -> None:
    (place / "properties" / "leaderboard").mkdir(parents=True)
    (ANY | YAML)[name](place / "properties" / "leaderboard" / "toy.yaml")
    status, printed = said(capfd, ["leaderboard", "toy"])
    assert status == 2
    assert printed.startswith("Error: The leaderboard 'properties/leaderboard/toy.yaml'")


@pytest.mark.parametrize("name", [*ANY, *JSON])
def test_results(name: str, place: Path, capfd: pytest.CaptureFixture) -> None:
    spoil(place / "saved" / "run" / "results.json", (ANY | JSON)[name])
    status, printed = said(capfd, ["leaderboard", "xsum"])
    assert status == 0
    assert "Left out: runs whose results.json is broken (run: " in printed
    status, printed = said(capfd, ["report", "saved/run"])
    assert status == 2
    assert printed.startswith("Error: 'saved/run/results.json' is damaged (")


@pytest.mark.parametrize("name", ANY)
@pytest.mark.parametrize("file", ["generation.txt", "generation.jsonl"])
def test_texts_of_a_run(file: str, name: str, place: Path, capfd: pytest.CaptureFixture) -> None:
    spoil(place / "saved" / "run" / file, ANY[name])
    status, printed = said(capfd, ["report", "saved/run"])
    assert status == 0
    assert f"'saved/run/{file}' cannot be read (" in printed


@pytest.mark.parametrize("name", [*ANY, *YAML])
def test_a_run_s_configuration(name: str, place: Path, capfd: pytest.CaptureFixture) -> None:
    spoil(place / "saved" / "run" / "config.yaml", (ANY | YAML)[name])
    status, printed = said(capfd, ["report", "saved/run"])
    assert status == 2
    assert "saved/run/config.yaml'" in printed


@pytest.mark.parametrize("name", ["pipe", "folder", "zeros"])
def test_datasets(name: str, place: Path, capfd: pytest.CaptureFixture) -> None:
    spoil(place / "dataset" / "toy" / "train.src", ANY[name])
    status, printed = said(capfd, ["data", "check", "toy"])
    assert status == 2
    assert printed.startswith("Error: 'dataset/toy/train.src' cannot be read (")
    assert said(capfd, ["data", "list"])[0] == 0


@pytest.mark.parametrize("name", ["endless", *JSON])
def test_records_of_distillation(name: str, place: Path, capfd: pytest.CaptureFixture) -> None:
    (ANY | JSON)[name](place / "dataset" / "toy" / "distill.json")
    status, printed = said(capfd, ["--model=ELMER", "--dataset=toy"])
    assert status == 2
    assert printed.startswith("Error: 'dataset/toy/distill.json' is damaged")
