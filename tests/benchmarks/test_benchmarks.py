"""The benchmarks, small: what pre-training is worth, what corruption costs, whether memory grows with a corpus."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest
import torch

from benchmarks import corpus_memory, corpus_reading, corruption, int8_layers, pretraining_gain
from benchmarks.corpus_memory import WRITERS, write_corpus
from benchmarks.starting import start
from tests.conftest import WORDS, write_toy
from textbox_elmer.model.packing import Linear
from textbox_elmer.pretraining.corpus import build_index, find_files


def run(benchmark: ModuleType, argv: Sequence[str]) -> int:
    """Start a benchmark, as its module does, and return the status."""
    return start(benchmark.__name__.removeprefix("benchmarks."), benchmark.main, benchmark.OPTIONS, argv)


def test_corruption_beside_tokenization(workplace: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(corruption, ["--dataset=toy"]) == 0
    printed = capsys.readouterr().out.splitlines()
    rows = [re.split(r" *\| *", line.strip("| ")) for line in printed if line.startswith("|")][2:]
    assert [row[0] for row in rows] == ["short", "as they are", "long"]
    for row in rows:
        tokens, corrupted, ratio = (float(cell.replace(",", "")) for cell in row[2:5])
        assert ratio == pytest.approx(corrupted / tokens, rel=0.01)


def test_memory_of_two_corpora(workplace: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(corpus_memory, ["--small=0.1", "--large=0.2", "--steps=2"]) == 0
    printed = capsys.readouterr().out
    small, large = (float(peak.replace(",", "")) for peak in re.findall(r"peak ([\d,]+) MB", printed))
    assert 100 < small < 5000
    assert float(re.search(r"ratio ([\d.]+)", printed)[1]) == pytest.approx(large / small, abs=0.01)


def test_ways_of_reading_a_corpus(workplace: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(corpus_reading, ["--size=0.3"]) == 0
    cells = [re.split(r" *\| *", line.strip("| ")) for line in capsys.readouterr().out.splitlines()][2:]
    rows = {row[0]: row[1:] for row in cells}
    assert {name: row[-1] for name, row in rows.items()} == {"index": "100%", "stream": "0%", "arrow": "100%"}
    assert float(rows["index"][3]) < 0.1 < 0.3 <= float(rows["arrow"][3]), "a copy is as large as the corpus"


@pytest.mark.parametrize("kind", list(WRITERS))
def test_made_up_corpora_are_corpora(tmp_path: Path, kind: str) -> None:
    write_corpus(tmp_path / "corpus", 50_000, kind)
    index = build_index(find_files(tmp_path / "corpus").train, cache_dir=tmp_path / "cache")
    assert 50_000 / 140 < index.examples < 50_000 / 50


def test_gain_of_pretraining(workplace: Path, capsys: pytest.CaptureFixture) -> None:
    """All rows on toys; a second call only measures and prints, and the rows of one budget have spent the same."""
    write_toy(workplace / "dataset" / "apidoc", {"train": 600, "valid": 5, "test": 6})
    write_toy(workplace / "dataset" / "apidoc-prose", {"train": 600, "valid": 5})
    assert len(WORDS) == 12
    settings = ["--steps=30", "--d_model=16", "--layers=1", "--batch_size=4", "--text_len=12", "--src_len=12"]
    command = [*settings, "--out=gain"]
    assert run(pretraining_gain, [*command, "--rows=ab"]) == 0
    assert run(pretraining_gain, [*command, "--rows=edc"]) == 0
    report = json.loads((workplace / "gain" / "pretraining_gain.json").read_text())
    printed = capsys.readouterr().out
    started = (workplace / "gain" / "a-finetune" / "results.json").stat().st_mtime_ns
    assert [row["row"] for row in report["rows"]] == ["a", "b", "c", "d", "e"]
    first, lplm, *_, longer = report["rows"]
    assert longer["finetune_steps"] == first["finetune_steps"] == 30
    assert longer["pretrain_steps"] == lplm["pretrain_steps"] > 0
    for row in report["rows"]:
        assert row is longer or row["flops"] == pytest.approx(first["flops"], rel=0.1)
        assert row["ms_per_example"] > 0
        assert f"| ({row['row']}) {row['name']} | {row['pretrain_steps']} |" in printed
        assert (row["pretrain_steps"] > 0) is (row["row"] != "a")
    saved = json.loads((workplace / "gain" / "c-pretrain" / "checkpoint_best" / "config.json").read_text())
    assert saved["exit_mode"] == "last"
    assert run(pretraining_gain, [*command, "--alignment=position"]) == 2
    assert "'gain' holds runs under other options" in capsys.readouterr().err
    assert run(pretraining_gain, command) == 0
    assert (workplace / "gain" / "a-finetune" / "results.json").stat().st_mtime_ns == started


@pytest.mark.parametrize(
    ("benchmark", "option", "message"),
    [
        (corruption, "--rows=a", "`python -m benchmarks.corruption` has no option --rows"),
        (corpus_memory, "--kind=pdf", "--kind is one of src, txt, jsonl, parquet, not 'pdf'"),
        (corpus_reading, "--kind=pdf", "--kind is one of src, txt, jsonl, parquet, not 'pdf'"),
        (corpus_memory, "--small=none", "--small must be a number above 0, not 'none'"),
        (pretraining_gain, "--row=a", "has no option --row: did you mean --rows?"),
    ],
)
def test_mistakes(
    workplace: Path,
    capsys: pytest.CaptureFixture,
    benchmark: ModuleType,
    option: str,
    message: str,
) -> None:
    assert run(benchmark, [option]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.skipif(not torch.cpu._is_vnni_supported(), reason="the processor has no int8 products")
def test_int8_layers(workplace: Path, capsys: pytest.CaptureFixture) -> None:
    sizes = ["--layers=2", "--d_model=128", "--vocab_size=300", "--rounds=1", "--shapes=pc"]
    assert run(int8_layers, sizes) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")][2:]
    rows = {cells[0]: cells[1:] for cells in (re.split(r" *\| *", line.strip("| ")) for line in lines)}
    base = float(rows["bfloat16"][0])
    for name, (milliseconds, ratio, same) in rows.items():
        assert float(ratio) == pytest.approx(base / float(milliseconds), abs=0.01 * float(ratio) + 0.01), name
        assert float(same.rstrip("%")) > 80, name
    assert sum(name.startswith("int8") for name in rows) == 2


@pytest.mark.skipif(not torch.cpu._is_vnni_supported(), reason="the processor has no int8 products")
def test_an_int8_layers_products_are_near() -> None:
    torch.manual_seed(0)
    layer, states = Linear(48, 20), torch.randn(3, 5, 48)
    exact = layer(states)
    for each_state in (False, True):
        found = int8_layers.Int8Linear(layer, each_state)(states)
        assert (found - exact).abs().max() < 0.05
        assert not torch.equal(found, exact)
