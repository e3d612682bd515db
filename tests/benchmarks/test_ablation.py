"""The ablation on toys: rows apart, the teacher, and what is counted of texts and graphs."""

import json
import math
from pathlib import Path

import pytest
import torch

from benchmarks.ablation.command import OPTIONS, main
from benchmarks.ablation.rows import ROWS
from benchmarks.ablation.training import shuffled
from benchmarks.ablation.writing import TransitionEntropy, scores
from benchmarks.starting import start
from textbox_elmer.model import ElmerConfig, ElmerForConditionalGeneration
from textbox_elmer.runtime.data import Split

COMMAND = ["--dataset=toy", "--out=ablation", "--d_model=16", "--layers=1"]
COMMAND += ["--steps=3", "--batch_size=8", "--src_len=24", "--tgt_len=10"]


def test_rows_run_apart_and_make_one_table(workplace: Path, capsys: pytest.CaptureFixture) -> None:
    """A distilled row brings its teacher; what is finished is not done again."""
    assert start("ablation", main, OPTIONS, [*COMMAND, "--rows=dag-mask-copy-distilled"]) == 0
    out, toy = workplace / "ablation", workplace / "dataset" / "toy"
    finished = {key: (out / key / "row.json").stat().st_mtime_ns for key in ("dag-mask-copy-distilled", "bart-copy")}
    for file in ("train.src", "valid.tgt", "test.tgt"):
        assert (out / "distilled" / file).read_bytes() == (toy / file).read_bytes()
    assert (out / "distilled" / "train.tgt").read_text() != (toy / "train.tgt").read_text()
    capsys.readouterr()
    keys = ["position-mask-soft-postnorm", "ctc-source-copy", "dag-mask-copy-distilled", "bart"]
    assert start("ablation", main, OPTIONS, [*COMMAND, f"--rows={','.join(keys)}"]) == 0
    assert finished == {key: (out / key / "row.json").stat().st_mtime_ns for key in finished}
    rows = {row["key"]: row for row in json.loads((out / "ablation.json").read_text())["rows"]}
    assert list(rows) == [row.key for row in ROWS if row.key in {*keys, "bart-copy"}]
    printed = capsys.readouterr().out
    for key, row in rows.items():
        written = row["decodings"]
        assert row["chosen"] == max(written, key=lambda name: written[name]["valid"]["rouge-2"])
        for name, of in written.items():
            shown = f"**{name}**" if name == row["chosen"] else name
            test = of["test"]
            columns = of["valid"]["rouge-2"], *(test[name] for name in ("rouge-1", "rouge-2", "rouge-l"))
            cells = f"{' | '.join(f'{score:.2f}' for score in columns)} | {test['distinct']} of 13"
            assert any(line.startswith(f"| {key} |") and f"| {shown} | {cells}" in line for line in printed.split("\n"))
    graph = rows["dag-mask-copy-distilled"]
    assert list(graph["decodings"]) == ["greedy", "lookahead", "viterbi"]
    assert 0 < graph["transition_entropy"] < math.log(20)
    assert graph["teacher_seconds"]["training"] == rows["bart-copy"]["training_seconds"]
    assert graph["teacher_seconds"]["writing"] > 0
    assert rows["bart"]["teacher_seconds"] is None
    saved = json.loads((out / "position-mask-soft-postnorm" / "model" / "config.json").read_text())
    assert (saved["alignment"], saved["exit_mode"], saved["normalize_before"]) == ("position", "soft", False)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ("--rows=dag,bart", "The option --rows knows position-mask-soft-postnorm, "),
        ("--dataset=toys", "There is no dataset 'toys'"),
        ("--depth=3", "`python -m benchmarks.ablation` has no option --depth: `python"),
        ("--steps=5", "'ablation' holds rows with --steps=3, not 5: give another --out."),
        ("--learning_rate=1e30", "The training of row bart diverged at step"),
    ],
)
def test_mistakes(workplace: Path, capsys: pytest.CaptureFixture, changed: str, message: str) -> None:
    if changed == "--steps=5":
        assert start("ablation", main, OPTIONS, [*COMMAND, "--rows=bart"]) == 0
    given = [option for option in [*COMMAND, "--rows=bart"] if option.split("=")[0] != changed.split("=")[0]]
    assert start("ablation", main, OPTIONS, [*given, changed]) == 2
    assert message in capsys.readouterr().err


def test_rows_cover_what_is_asked_of_the_table() -> None:
    assert len({row.key for row in ROWS}) == len(ROWS) >= 16
    assert {row.alignment for row in ROWS} == {"position", "ctc", "dag", "autoregressive"}
    assert {(row.alignment, row.distilled) for row in ROWS} >= {(name, True) for name in ("position", "ctc", "dag")}
    assert all(row.glances <= (row.canvas_input == "source") for row in ROWS)


def test_texts_are_counted() -> None:
    split = Split("test", ["", "", ""], ["a b c d", "e", "e"])
    found = scores(["a b c d", "b b b a", "a b c d"], split, {"lower_evaluation": True})
    assert (found["texts"], found["distinct"]) == (3, 2)
    assert found["repeated"] == pytest.approx(2 / 12)
    assert found["rouge-1"] == found["rouge-2"] == pytest.approx(100 / 3, abs=0.01)


def test_entropy_of_even_transitions() -> None:
    """Links without weights go to each vertex behind alike, whose entropies are known."""
    sizes = {"d_model": 16, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "vocab_size": 40}
    config = ElmerConfig(encoder_layers=1, decoder_layers=1, alignment="dag", canvas_length=5, **sizes)
    model = ElmerForConditionalGeneration(config).eval()
    torch.nn.init.zeros_(model.links.q_proj.weight)
    torch.nn.init.zeros_(model.links.decay)
    with TransitionEntropy(model.links) as entropy:
        model.generate(torch.randint(5, 40, (3, 7)))
    assert entropy.mean() == pytest.approx(sum(math.log(behind) for behind in range(1, 20)) / 19, abs=1e-5)


def test_batches_show_everything_once_before_anything_twice() -> None:
    batches = shuffled(10, 5, seed=1)
    first, second, third, _ = (next(batches) for _ in range(4))
    assert sorted(first + second) == list(range(10))
    assert third != first
    again = shuffled(10, 5, seed=1)
    assert next(again) == first
