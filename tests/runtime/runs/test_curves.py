"""A run's curves on a disk that is full."""

from pathlib import Path

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from tests.conftest import full_disk
from textbox_elmer.runtime.runs.curves import Curves
from textbox_elmer.runtime.runs.logs import log_to_console


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_full_disk_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    log_to_console("info")
    arguments = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to=[])
    given = arguments, TrainerState(is_world_process_zero=True), TrainerControl()
    curves = Curves(tmp_path / "tensorboard")
    with full_disk():
        curves.on_train_begin(*given)
        for _ in range(3):
            curves.on_log(*given, logs={"loss": 1.0})
        curves.on_train_end(*given)
    said = capsys.readouterr().err
    assert "Traceback" not in said
    (line,) = said.splitlines()
    assert line.endswith(f"{tmp_path / 'tensorboard'} cannot be written (File too large): going on without curves.")
