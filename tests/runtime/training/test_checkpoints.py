"""What a run keeps of its checkpoints."""

import shutil
from pathlib import Path

import pytest

from textbox_elmer.runtime.training.checkpoints import BEST, checkpoints, publish_best, remove_old, sweep


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for step in (5, 10, 100):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        for name in ("model.safetensors", "config.json", "tokenizer.json", "optimizer.pt", "trainer_state.json"):
            (folder / name).write_text(f"{name} of {step}")
        for name in ("rng_state.pth", "rng_state_0.pth", "config.yaml", "training_args.bin", "scheduler.pt"):
            (folder / name).write_text("the run's")
    (tmp_path / "checkpoint-new").mkdir()
    return tmp_path


def test_checkpoints_are_listed_by_step(run: Path) -> None:
    assert [path.name for path in checkpoints(run)] == ["checkpoint-5", "checkpoint-10", "checkpoint-100"]


@pytest.mark.parametrize(("keep", "left"), [(1, [100]), (2, [10, 100]), (9, [5, 10, 100]), (-1, [5, 10, 100])])
def test_old_checkpoints_go(run: Path, keep: int, left: list[int]) -> None:
    publish_best(run / "checkpoint-5", run)
    remove_old(run, keep)
    assert [path.name for path in checkpoints(run)] == [f"checkpoint-{step}" for step in left]
    assert (run / BEST / "model.safetensors").read_text() == "model.safetensors of 5"


def test_best_holds_the_model_and_not_the_training(run: Path) -> None:
    for step in (5, 100):
        publish_best(run / f"checkpoint-{step}", run)
        assert {file.name: file.read_text() for file in (run / BEST).iterdir()} == {
            name: f"{name} of {step}" for name in ("model.safetensors", "config.json", "tokenizer.json")
        }
    assert not list(run.glob(".checkpoint_best*"))


def killed(*arguments: object, **named: object) -> None:
    raise KeyboardInterrupt


def test_a_removal_that_is_killed_leaves_no_half_checkpoint(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(folder: Path, **named: object) -> None:
        if folder.exists():
            (folder / "model.safetensors").unlink()
            killed()

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", half)
        with pytest.raises(KeyboardInterrupt):
            remove_old(run, 1)
    assert all((path / "model.safetensors").exists() for path in run.glob("checkpoint-[0-9]*"))
    sweep(run)
    assert not list(run.glob(".*"))
    assert [path.name for path in checkpoints(run)] == ["checkpoint-10", "checkpoint-100"]


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_best_checkpoint_survives_a_kill_while_it_changes(
    run: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    publish_best(run / "checkpoint-5", run)
    rename, left = Path.rename, [renames]

    def until_killed(path: Path, target: Path) -> None:
        if not left[0]:
            killed()
        left[0] -= 1
        rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", until_killed)
        patch.setattr(shutil, "rmtree", lambda folder, **named: folder.exists() and killed())
        with pytest.raises(KeyboardInterrupt):
            publish_best(run / "checkpoint-10", run)
    sweep(run)
    assert (run / BEST / "model.safetensors").read_text() == f"model.safetensors of {5 if renames == 0 else 10}"
    assert not list(run.glob(".*"))
