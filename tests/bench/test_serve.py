"""`bench serve`, small."""

import re

import pytest

from tests.inference.serving.packages import need
from textbox_elmer.cli import main

need()

SMALL = ["bench", "serve", "--layers=2", "--d_model=128", "--vocab_size=9000", "--output=6"]


def test_elmer_beside_bart(capsys: pytest.CaptureFixture) -> None:
    assert main([*SMALL, "--clients=1,8", "--seconds=0.5"]) == 0
    printed = capsys.readouterr().out
    rows = {}
    for line in printed.splitlines():
        if re.match(r"\| (ELMER|BART)", line):
            model, batching, clients, *numbers = line.strip("| ").split(" | ")
            rows[model, batching, int(clients)] = [float(number) for number in numbers]
    assert len(rows) == 3 * 2 * 2
    for rate, p50, p99, tokens in rows.values():
        assert rate > 0
        assert p99 >= p50 > 0
        assert tokens == pytest.approx(5, abs=0.1)  # all write as much: six tokens with the end
    ratio = rows["ELMER", "on", 8][0] / rows["BART 5 beams", "on", 8][0]
    said = re.search(r"at 8 clients: ELMER / BART 5 beams ([\d.]+) in requests/s \(bar: 4 or more\)", printed)
    assert float(said[1]) == pytest.approx(ratio, rel=0.02)


def test_soak(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("KILLED_EVERY", 0.5), ("SOAKING", 4)):
        monkeypatch.setattr(f"textbox_elmer.bench.serve.{name}", value)
    assert main([*SMALL, "--soak_minutes=0.1"]) == 0
    said = re.search(r"4 clients, (\d+) of them killed: ([\d,]+) answers, (\d+) lost", capsys.readouterr().out)
    assert int(said[1]) > 2
    assert int(said[2].replace(",", "")) > 4
    assert int(said[3]) == 0


def test_clients_that_are_none(capsys: pytest.CaptureFixture) -> None:
    assert main([*SMALL, "--clients=1,x"]) == 2
    assert "--clients=1,x must be numbers above 0" in capsys.readouterr().err
