"""What needs a GPU, in small on the CPU: the script, and a training step's row."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import training_speed
from benchmarks.starting import start

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.sh"
SMALL = ["--layers=1", "--d_model=64", "--vocab_size=100", "--rounds=1"]
SMALL += ["--batch_size=2", "--source=8", "--target=4", "--text=6", "--out=out.json"]


def test_the_script_writes_what_it_can(tmp_path: Path) -> None:
    changes = {"DRY": "1", "OUT": str(tmp_path), "PYTHON": sys.executable}
    changes["TORCHDYNAMO_DISABLE"] = "1"  # it would take a minute; tests/model/test_compiled.py compiles
    command = [str(SCRIPT), "latency", "poetry", "training"]
    done = subprocess.run(command, env=os.environ | changes, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert "There is no table poetry: latency, training, quality-position, quality-dag." in done.stderr
    for name, row in (
        ("latency", "BART 5 beams, static cache | float32"),
        ("latency", "ELMER soft, compiled | float32"),
        ("training", "ELMER, LPLM"),
    ):
        table = (tmp_path / f"{name}.md").read_text()
        assert f"| {row} |" in table
        assert table in done.stdout
        assert (tmp_path / f"{name}.json").exists()


def test_training_steps(workplace: Path, capsys: pytest.CaptureFixture) -> None:
    assert start("training_speed", training_speed.main, training_speed.OPTIONS, SMALL) == 0
    lines = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][2:]
    assert [cells[0].strip("| ") for cells in lines] == [
        "BART, fine-tuning",
        "ELMER, fine-tuning, position, soft exit",
        "ELMER, fine-tuning, dag",
        "ELMER, LPLM",
    ]
    for cells, tokens in zip(lines, (4, 4, 4, 6), strict=True):
        seconds, examples, rate = (float(cell.replace(",", "")) for cell in cells[1:4])
        assert examples == pytest.approx(2 / seconds, rel=0.05)
        assert rate == pytest.approx(examples * tokens, rel=0.05)


def test_mistakes(workplace: Path, capsys: pytest.CaptureFixture) -> None:
    assert start("training_speed", training_speed.main, training_speed.OPTIONS, ["--device=tpu"]) == 2
    assert "--device must be cpu, or cuda where there is one, not 'tpu'" in capsys.readouterr().err
