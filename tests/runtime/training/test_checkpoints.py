"""What a run keeps of its checkpoints."""

from pathlib import Path

import pytest

from textbox_elmer.runtime.training.checkpoints import BEST, checkpoints, publish_best, remove_old


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
