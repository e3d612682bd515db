"""SIGTERM at any time of a run: one sentence, status 143, and what was learnt is kept and continued from."""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import options, tiny, write_toy
from tests.runtime.test_experiment import same_weights
from textbox_elmer import termination
from textbox_elmer.cli import main
from textbox_elmer.runtime import trained
from textbox_elmer.runtime.training import HostTrainer
from textbox_elmer.runtime.training.corpus_trainer import PretrainingTrainer
from textbox_elmer.trials import trial

SIZES = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_toy(tmp_path / "dataset" / "toy", {"train": 48, "valid": 4, "test": 4})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(name: str, resumed: str | None = None, **changes: Any) -> int:
    """Train two epochs of three steps."""
    config = {"train_batch_size": 16, "do_test": False, "filename": name, **SIZES, **changes}
    config |= {"model_path": resumed} if resumed else {}
    return main(["--model=ELMER", "--dataset=toy", *options(tiny(**config))])


def terminate_in(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, call: int = 1) -> None:
    """Send SIGTERM to this process, twice, at a call of a function."""
    theirs: Callable[..., Any] = getattr(owner, name)
    calls = [0]

    def called(*arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] in (call, call + 1):
            signal.raise_signal(signal.SIGTERM)
        return theirs(*arguments, **named)

    monkeypatch.setattr(owner, name, called)


def last_line(capsys: pytest.CaptureFixture) -> str:
    shown = capsys.readouterr().err
    assert "Traceback" not in shown
    return shown.splitlines()[-1]


def state(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "trainer_state.json").read_text())


@pytest.mark.parametrize(
    ("call", "step", "changes"),
    [
        (2, 2, {}),
        (2, 2, {"pretrain_task": "lplm"}),
        (4, 4, {"valid_strategy": "step", "valid_steps": 2}),
        (3, 3, {"do_valid": False}),
    ],
    ids=["amid an epoch", "in pre-training", "where a validation is due", "at an epoch's end"],
)
def test_a_training_saves_and_goes_on(
    place: Path, capsys: pytest.CaptureFixture, call: int, step: int, changes: dict[str, Any]
) -> None:
    assert train("whole", max_save=-1, **changes) == 0
    with pytest.MonkeyPatch.context() as patch:
        terminate_in(patch, HostTrainer, "training_step", call)
        assert train("run", **changes) == 143
    checkpoint = f"saved/run/checkpoint-{step}"
    assert last_line(capsys) == f"Terminated: step {step} is saved, go on with --model_path={checkpoint}."
    assert train("run", checkpoint, max_save=-1, **changes) == 0
    for name in ("checkpoint-6", "checkpoint_best"):
        assert same_weights(place / "saved/whole" / name, place / "saved/run" / name)
    ours, whole = (state(place / "saved" / name / "checkpoint-6") for name in ("run", "whole"))
    assert ours["best_global_step"] == whole["best_global_step"]
    assert ours["best_metric"] == whole["best_metric"]


@pytest.mark.parametrize("changes", [{}, {"pretrain_task": "lplm"}], ids=["fine-tuning", "pre-training"])
def test_a_validation_is_left_and_made_up_for(
    place: Path, capsys: pytest.CaptureFixture, changes: dict[str, Any]
) -> None:
    assert train("whole", epochs=1, **changes) == 0
    owner = PretrainingTrainer if changes else HostTrainer
    with pytest.MonkeyPatch.context() as patch:
        terminate_in(patch, owner, "evaluate")
        assert train("run", epochs=1, **changes) == 143
    assert last_line(capsys).endswith("step 3 is saved, go on with --model_path=saved/run/checkpoint-3.")
    with pytest.MonkeyPatch.context() as patch:
        terminate_in(patch, owner, "evaluate")
        assert train("again", "saved/run/checkpoint-3", epochs=1, **changes) == 143
    assert last_line(capsys).endswith("no step was made, go on with --model_path=saved/run/checkpoint-3.")
    assert train("again", "saved/run/checkpoint-3", epochs=1, **changes) == 0
    results = [json.loads((place / "saved" / name / "results.json").read_text()) for name in ("whole", "again")]
    assert results[0]["training"]["best_metrics"] == results[1]["training"]["best_metrics"]
    assert results[1]["training"]["best_step"] == results[1]["training"]["steps"] == 3
    assert same_weights(place / "saved/whole/checkpoint_best", place / "saved/again/checkpoint_best")


def test_a_test_loses_nothing(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    terminate_in(monkeypatch, HostTrainer, "_scores")
    assert train("run", epochs=1, do_test=True) == 143
    again = "--do_train=False --model_path=saved/run/checkpoint_best"
    assert last_line(capsys) == f"Terminated: the test is not done, repeat it with {again}."
    assert not (place / "saved/run/results.json").exists()


def test_before_a_training_there_is_nothing_to_save(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    terminate_in(monkeypatch, trained, "build_model")
    assert train("run") == 143
    assert last_line(capsys) == "Terminated: nothing is half-written, repeat the command."
    assert not (place / "saved").exists()


def test_a_training_at_its_end_makes_no_step_more(place: Path) -> None:
    assert train("run", max_steps=2) == 0
    assert train("again", "saved/run/checkpoint-2", max_steps=2) == 0
    assert json.loads((place / "saved/again/results.json").read_text())["training"]["steps"] == 2


def test_a_trial_is_asked_to_end_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = (
        "import pathlib, signal, sys, time\n"
        "def end(*_):\n    pathlib.Path('saved.txt').touch(); sys.exit(143)\n"
        "signal.signal(signal.SIGTERM, end)\npathlib.Path('ready').touch()\ntime.sleep(60)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trial, "run_command", lambda options: [sys.executable, "-c", child])

    def ask() -> None:
        while not Path("ready").exists():
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=ask, daemon=True).start()
    with pytest.raises(termination.Terminated, match="repeat the command to go on"), termination.listening():
        trial.run_trial(tmp_path / "run", {})
    assert Path("saved.txt").exists()


def test_another_programs_own_handler_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with termination.listening():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
    with termination.listening():
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
