"""`bench generate`, small."""

import re
from pathlib import Path

import pytest

from textbox_elmer.cli import main


def test_generate_beside_the_bare_model(workplace: Path, capsys: pytest.CaptureFixture) -> None:
    sizes = ["--layers=2", "--d_model=128", "--texts=20", "--batch_size=8", "--rounds=2"]
    assert main(["bench", "generate", *sizes]) == 0
    printed = capsys.readouterr().out
    bare, ours = (float(rate.replace(",", "")) for rate in re.findall(r"([\d,.]+) texts/s", printed))
    ratio = float(re.search(r"ratio ([\d.]+) \(bar: 0.9 or more\)", printed)[1])
    assert ratio == pytest.approx(ours / bare, rel=0.01)
    assert 0.2 < ratio < 1.5
