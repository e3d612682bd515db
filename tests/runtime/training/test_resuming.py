"""Going on with a training: what a checkpoint must hold, and the one sentence for each way in which it does not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import options, tiny, work_in_copy, write_toy
from textbox_elmer.cli import main
from textbox_elmer.errors import UserError
from textbox_elmer.runtime.config import Config
from textbox_elmer.runtime.training import resuming
from textbox_elmer.runtime.training.processes import Processes

CHECKPOINT = "saved/run/checkpoint-2"
SIZES = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}


def train(**changes: Any) -> int:
    config = tiny(do_test=False, train_batch_size=16, epochs=1, **SIZES | changes)
    return main(["--model=ELMER", "--dataset=toy", *options(config)])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with a dataset and a run of two steps."""
    folder = tmp_path_factory.mktemp("trained")
    write_toy(folder / "dataset" / "toy", {"train": 32, "valid": 4, "test": 4})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert train(filename="run") == 0
    return folder


@pytest.fixture
def place(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it to work in and to spoil."""
    return work_in_copy(trained, tmp_path, monkeypatch)


def go_on(**changes: Any) -> int:
    return train(model_path=CHECKPOINT, max_steps=3, **changes)


def without(name: str) -> Callable[[Path], None]:
    return lambda checkpoint: (checkpoint / name).unlink()


def cut(name: str) -> Callable[[Path], None]:
    def spoil(checkpoint: Path) -> None:
        content = (checkpoint / name).read_bytes()
        (checkpoint / name).write_bytes(content[: len(content) // 2])

    return spoil


def holding(name: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    """Change what a file of torch's holds."""

    def spoil(checkpoint: Path) -> None:
        torch.save(change(torch.load(checkpoint / name, weights_only=False)), checkpoint / name)

    return spoil


def state(**changes: Any) -> Callable[[Path], None]:
    def spoil(checkpoint: Path) -> None:
        values = json.loads((checkpoint / resuming.STATE).read_text())
        (checkpoint / resuming.STATE).write_text(json.dumps(values | changes))

    return spoil


def of_other_shapes(saved: dict[str, Any]) -> dict[str, Any]:
    saved["state"][0]["exp_avg"] = torch.zeros(7)
    return saved


def of_another_kind(saved: dict[str, Any]) -> dict[str, Any]:
    for numbers in saved["state"].values():
        numbers["RMS"] = numbers.pop("exp_avg")
    return saved


class Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("pwned"),)


DAMAGES: list[tuple[str, Callable[[Path], None], str]] = [
    # what is wrong, how it comes about, what must be said
    ("no optimizer", without("optimizer.pt"), "checkpoint-2/optimizer.pt' is missing, without which it would not go"),
    ("no schedule", without("scheduler.pt"), "checkpoint-2/scheduler.pt' is missing"),
    ("no random state", without("rng_state.pth"), "checkpoint-2/rng_state.pth' is missing"),
    ("no state", without("trainer_state.json"), "trainer_state.json' is damaged (No such file or directory)"),
    ("optimizer cut", cut("optimizer.pt"), "checkpoint-2/optimizer.pt' is damaged (cut off"),
    ("schedule cut", cut("scheduler.pt"), "checkpoint-2/scheduler.pt' is damaged (cut off"),
    ("random state cut", cut("rng_state.pth"), "checkpoint-2/rng_state.pth' is damaged (cut off"),
    ("state cut", cut("trainer_state.json"), "trainer_state.json' is damaged ("),
    ("code", holding("optimizer.pt", lambda saved: Code()), "optimizer.pt' is damaged (cut off, or no file of plain"),
    ("a list", holding("optimizer.pt", lambda saved: [1]), "optimizer.pt' is damaged (it belongs to another model or"),
    ("other shapes", holding("optimizer.pt", of_other_shapes), "optimizer.pt' is damaged (it belongs to another"),
    ("another kind", holding("optimizer.pt", of_another_kind), "optimizer.pt' is damaged (it belongs to another"),
    ("no schedule's", holding("scheduler.pt", lambda saved: saved | {"last_epoch": "2"}), "(it is no schedule's)"),
    ("a method", holding("scheduler.pt", lambda saved: saved | {"step": 5}), "(it is no schedule's)"),
    ("no generator's", holding("rng_state.pth", lambda saved: saved | {"python": 5}), "rng_state.pth' is damaged ("),
    (
        "best elsewhere",
        state(best_global_step="x/../.."),
        "trainer_state.json' is damaged (best_global_step is x/../..)",
    ),
    ("a word", state(global_step="2"), "(global_step is 2)"),
    ("not its folder's", state(global_step=1), "(global_step is 1)"),
    ("huge", state(max_steps=10**400), "(a whole number is too large"),
    ("a thousand digits too many", state(max_steps=10**4000), "(a whole number is too large"),
    ("negative", state(num_train_epochs=-1), "(num_train_epochs is -1)"),
    ("no number", state(best_metric=float("nan")), "(best_metric is nan)"),
    ("endless", state(epoch=float("inf")), "(epoch is inf)"),
    ("unknown key", state(evil=1), "(evil is 1)"),
    ("no history", state(log_history=[{"eval_loss": "x", "step": 1}]), "(log_history is [{'eval_loss': 'x'"),
    ("no switches", state(stateful_callbacks={"TrainerControl": {"args": {"x": 1}, "attributes": {}}}), "(stateful_ca"),
    (
        "an attribute",
        state(stateful_callbacks={"PlainProgress": {"args": {}, "attributes": {"on_log": 1}}}),
        "(stateful_ca",
    ),
]


@pytest.mark.parametrize(("spoil", "sentence"), [row[1:] for row in DAMAGES], ids=[row[0] for row in DAMAGES])
def test_damages(place: Path, capsys: pytest.CaptureFixture, spoil: Callable[[Path], None], sentence: str) -> None:
    spoil(place / CHECKPOINT)
    capsys.readouterr()
    assert go_on(filename="again") == 2
    shown = capsys.readouterr().err
    (line,) = [line for line in shown.splitlines() if line.startswith("Error: The training cannot be resumed")]
    assert "Traceback" not in shown
    assert sentence in line
    assert line.endswith("give another checkpoint, or --resume_training=False to take the weights alone.")
    assert "weights_only" not in line
    assert not (place / "pwned").exists()
    assert not list((place / "saved").glob("again/checkpoint-*"))


@pytest.mark.parametrize("spread", [True, False])
def test_weights_are_spread_as_they_were(place: Path, spread: bool) -> None:
    """By FSDP over processes, whose optimizer's state is another."""
    checkpoint = place / CHECKPOINT
    if spread:
        (checkpoint / "optimizer.pt").rename(checkpoint / "optimizer.bin")
    saved, others = Config.load(checkpoint / "config.yaml"), Processes(False)
    others.shards = not spread
    how = "with" if spread else "without"
    with pytest.raises(UserError, match=f"was launched {how} --use_fsdp and goes on so alone: launch it as it was, or"):
        resuming.check_resumable(checkpoint, saved, saved, others)


def test_nothing_is_made_for_a_checkpoint_that_is_damaged(place: Path) -> None:
    cut("optimizer.pt")(place / CHECKPOINT)
    assert go_on() == 2
    assert [path.name for path in (place / "saved").iterdir()] == ["run"]


def test_the_weights_alone_need_nothing_else(place: Path) -> None:
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"):
        without(name)(place / CHECKPOINT)
    assert go_on(filename="again", resume_training=False) == 0


def test_a_sound_one_goes_on(place: Path) -> None:
    assert go_on(filename="again") == 0
    assert (place / "saved" / "again" / "checkpoint-3").is_dir()


def test_another_optimizer(place: Path, capsys: pytest.CaptureFixture) -> None:
    assert go_on(optimizer="adafactor") == 2
    assert "cannot be resumed by another optimizer: give --optimizer=adamw" in capsys.readouterr().err


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "adafactor"])
def test_every_optimizer_goes_on(place: Path, optimizer: str) -> None:
    shutil.rmtree("saved")
    assert train(filename="run", optimizer=optimizer) == 0
    assert go_on(optimizer=optimizer) == 0
