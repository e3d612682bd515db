"""A training that diverges: one sentence, status 2, and the checkpoints from before as they were."""

import math
from pathlib import Path

import pytest
import torch
from transformers import TrainerCallback

from tests.conftest import PUBLISHED, options, tiny
from textbox_elmer.cli import main
from textbox_elmer.runtime import experiment

WAYS = {
    "position": PUBLISHED,
    "dag": {},
    "ctc": {"alignment": "ctc"},
}


def run(**changes: object) -> int:
    config = tiny(do_test=False, filename="run", **changes)
    return main(["--model=ELMER", "--dataset=toy", *options(config)])


def contents(run: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(run.glob("checkpoint*/*"))}


@pytest.mark.parametrize("way", WAYS)
def test_the_last_good_checkpoint_is_kept(workplace: Path, capsys: pytest.CaptureFixture, way: str) -> None:
    folder = workplace / "saved" / "run"
    assert run(epochs=1, **WAYS[way]) == 0
    before = contents(folder)
    path = "saved/run/checkpoint-10"
    capsys.readouterr()
    fast = {"learning_rate": 1e6, "grad_clip": None, "model_path": path, "resume_training": False}
    assert run(epochs=9, **WAYS[way] | fast) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Error: ")]
    assert line.startswith("Error: The training has diverged at step ")
    assert f"its last good checkpoint is {path!r}; train with a smaller --learning_rate" in line
    assert contents(folder) == before
    assert not (folder / ".saving").exists()
    assert run(epochs=2, model_path=path, **WAYS[way]) == 0
    assert (folder / "checkpoint-20").is_dir()


@pytest.mark.parametrize(
    ("value", "task", "do_valid"),
    [(math.nan, "disabled", True), (1e30, "disabled", True), (1e12, "disabled", False), (math.nan, "lplm", True)],
)
def test_weights_that_diverge_in_the_last_step_of_an_epoch(
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    value: float,
    task: str,
    do_valid: bool,
) -> None:
    """The loss of every step was a number."""

    class Spoil(TrainerCallback):
        def on_step_end(self, args: object, state: object, control: object, model: object, **named: object) -> None:
            if state.global_step == 2:
                with torch.no_grad():
                    model.model.encoder.layers[0].fc1.weight.fill_(value)

    monkeypatch.setattr(experiment, "_trackers", lambda *_: [Spoil()])
    assert run(epochs=1, train_batch_size=40, pretrain_task=task, do_valid=do_valid, **PUBLISHED) == 2
    shown = capsys.readouterr().err
    assert "Error: The training has diverged at step 2 (its loss or weights are no numbers): no checkpoint was" in shown
    assert not list((workplace / "saved/run").glob("checkpoint*"))
