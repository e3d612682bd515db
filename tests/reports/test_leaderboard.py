"""`leaderboard`: our runs among published results, as a table and as TextBox's Markdown."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import options, tiny, write_toy
from textbox_elmer.cli import main
from textbox_elmer.reports.leaderboard.published import leaderboard_names, load_leaderboard

BOARD = """\
title: Toy
task: Text summarization
metrics: [rouge-2, CIDEr]
sort: {sort}
order: {order}
scale: {{CIDEr: 10}}
rows:
  - model: Middle
    paper: https://arxiv.org/abs/1
    decoding: NAR
    metrics: {{rouge-2: 20.5, CIDEr: 94.1}}
    source: https://example.org/middle
    protocol: canvas sized by the reference
  - model: Best
    repository: https://example.org/code
    decoding: AR
    parameters: 400000000
    metrics: {{rouge-2: 30}}
    source: https://example.org/best
  - model: Unscored
    decoding: AR
    metrics: {{CIDEr: 3}}
    source: https://example.org/best
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a leaderboard of `toy` of its own."""
    monkeypatch.chdir(tmp_path)
    write_board(tmp_path)
    return tmp_path


def write_board(folder: Path, sort: str = "rouge-2", order: str = "descending") -> None:
    (folder / "properties" / "leaderboard").mkdir(parents=True, exist_ok=True)
    (folder / "properties" / "leaderboard" / "toy.yaml").write_text(BOARD.format(sort=sort, order=order))


def write_run(saved: Path, name: str, rouge: float, **changes: Any) -> None:
    """Write what a run leaves, as far as it matters here; a change to None leaves the key out."""
    results = {
        "model": "ELMER",
        "dataset": "toy",
        "command": f"run_textbox.py --model=ELMER --dataset=toy --filename={name}",
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "parameters": 2_200_000,
        "metrics": {"rouge-1": 50.0, "rouge-2": rouge, "CIDEr": 2.5},
        "decoding": {"examples": 1300},
    } | changes
    (saved / name).mkdir(parents=True)
    kept = {key: value for key, value in results.items() if value is not None}
    (saved / name / "results.json").write_text(json.dumps(kept))


def lines(capsys: pytest.CaptureFixture) -> list[str]:
    return [line.strip() for line in capsys.readouterr().out.splitlines()]


def order_of(shown: list[str], *models: str) -> list[str]:
    """Return the models in the order of the table's rows."""
    first = {model: next(place for place, line in enumerate(shown) if line.startswith(model)) for model in models}
    return sorted(models, key=first.__getitem__)


def test_ours_stand_among_the_published(folder: Path, capsys: pytest.CaptureFixture) -> None:
    write_run(folder / "saved", "run", 25.25)
    assert main(["leaderboard", "toy"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    shown = [line.split() for line in captured.out.splitlines()]
    assert [row for row in shown if row and row[0] in ("Best", "ELMER", "Middle", "Unscored")] == [
        ["Best", "AR", "400M", "30.00", "-", "1"],
        ["ELMER", "(ours)", "NAR", "2.2M", "25.25", "25.00", "2"],
        ["Middle", "NAR", "-", "20.50", "94.10", "3*"],
        ["Unscored", "AR", "-", "-", "3.00", "1"],
    ]
    for said in (
        "Toy (toy), in descending order of rouge-2",
        "$ run_textbox.py --model=ELMER --dataset=toy --filename=run",
        "commit 0123456789abcdef0123456789abcdef01234567",
        "1,300 test examples",
        "ours, in saved/run",
        "canvas sized by the reference",
        "https://example.org/middle",
        "CIDEr is on the published scale: 10 times ours.",
    ):
        assert said in captured.out
    assert max(map(len, captured.out.splitlines())) <= 100


def test_less_may_be_better_and_what_is_missing_comes_last(folder: Path, capsys: pytest.CaptureFixture) -> None:
    write_board(folder, "rouge-2", "ascending")
    write_run(folder / "saved", "run", 5, model="BART")
    write_run(folder / "saved", "bare", 0, model="T5", metrics={"bleu": 3.0})
    write_run(folder / "saved", "odd", 0, model="transformer", metrics={"rouge-2": "none", "CIDEr": "none"})
    assert main(["leaderboard", "toy"]) == 0
    models = ("Best", "Middle", "Unscored", "BART", "T5", "transformer")
    assert order_of(lines(capsys), *models) == ["BART", "Middle", "Best", "T5", "transformer", "Unscored"]


def test_what_is_left_out_is_said(folder: Path, capsys: pytest.CaptureFixture) -> None:
    saved = folder / "runs"
    write_run(saved, "good", 1, dataset="TOY")
    write_run(saved, "other", 2, dataset="xsum")
    write_run(saved, "pretrained", 3, metrics=None)
    write_run(saved, "nameless", 4, model=None)
    write_run(saved, "listed", 5, metrics=[1])
    write_run(saved, "no-number", float("nan"))
    write_run(saved, "many", 6, parameters="many")
    for name, content in (
        ("cut", b'{"model": "ELM'),
        ("bytes", b"\xff\xfe"),
        ("number", b"7"),
        ("deep", b"[" * 99_999),
    ):
        (saved / name).mkdir()
        (saved / name / "results.json").write_bytes(content)
    (saved / "empty").mkdir()
    (saved / "folder" / "results.json").mkdir(parents=True)
    (saved / "file").write_text("no run")
    assert main(["leaderboard", "toy", "--saved_dir=runs"]) == 0
    captured = capsys.readouterr()
    assert captured.out.count("(ours)") == 1
    assert captured.err == (
        "Left out: runs on other datasets (other); runs without scores (empty, pretrained); runs whose results.json is "
        "broken (bytes: no UTF-8 text, cut: Unterminated string starting at: line 1 column 11 (char 10), deep: it is "
        "nested too deeply, folder: Is a directory, listed: metrics is no mapping, many: parameters is no number, "
        "nameless: no model, no-number: rouge-2 is no number, number: no mapping).\n"
    )


def test_unusual_results_do_no_harm(folder: Path, capsys: pytest.CaptureFixture) -> None:
    write_run(
        folder / "saved",
        "[bold]",
        1,
        model="Strange|One",
        command=None,
        commit=None,
        parameters=None,
        decoding=None,
    )
    assert main(["leaderboard", "toy"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"Strange\|One \(ours\) +- +- +1.00", shown)
    assert "ours, in saved/[bold]" in shown
    assert "commit unknown" in shown
    assert main(["leaderboard", "toy", "--markdown"]) == 0
    assert "**Strange\\|One (ours)**" in capsys.readouterr().out


def test_a_real_run_appears(workplace: Path, capsys: pytest.CaptureFixture) -> None:
    write_toy(workplace / "dataset" / "samsum", {"train": 16, "valid": 4, "test": 5})
    config = {"model": "ELMER", "dataset": "samsum", "filename": "run", **tiny(epochs=1)}
    assert main(options(config)) == 0
    results = json.loads((workplace / "saved" / "run" / "results.json").read_text())
    capsys.readouterr()
    assert main(["leaderboard", "samsum"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    scores = " ".join(f"{results['metrics'][name]:.2f}" for name in ("rouge-1", "rouge-2", "rouge-l"))
    assert f"ELMER (ours) NAR 0.1M {scores}" in shown
    assert "--filename=run" in shown
    assert f"commit {results['commit'] or 'unknown'}" in shown
    assert "5 test examples" in shown


ROW = re.compile(r"^\| (?P<model>.+?)\[\^(?P<note>\d+)\] \| (?P<cells>.*) \|$")


def parsed(markdown: str) -> tuple[list[str], list[dict[str, str]]]:
    """Return a Markdown table's headings and its rows by heading, the model without its footnote."""
    table = [line for line in markdown.splitlines() if line.startswith("|")]
    headings = [cell.strip() for cell in table[0].strip("|").split("|")]
    assert set(table[1]) == set("|- ")
    rows = []
    for line in table[2:]:
        match = ROW.match(line)
        assert match, line
        cells = [match["model"], *(cell.strip() for cell in match["cells"].split(" | "))]
        rows.append(dict(zip(headings, cells, strict=True)) | {"note": match["note"]})
    return headings, rows


@pytest.mark.parametrize("name", ["xsum", "samsum", "pc", "cg", "wp", "e2e", "coqaqg"])
def test_markdown_holds_every_row(name: str, folder: Path, capsys: pytest.CaptureFixture) -> None:
    board = load_leaderboard(name)
    assert main(["leaderboard", name, "--markdown"]) == 0
    markdown = capsys.readouterr().out
    headings, rows = parsed(markdown)
    assert (headings[0], headings[-2:]) == ("Model", ["Repository", "Generated Text"])
    assert [heading.lower() for heading in headings[1:-2]] == [metric.lower() for metric in board.metrics]
    notes = dict(re.findall(r"^\[\^(\d+)\]: Read at <(.+?)>", markdown, flags=re.MULTILINE))
    found = []
    for row in rows:
        scores = {
            metric: float(row[heading].strip("$"))
            for metric, heading in zip(board.metrics, headings[1:-2], strict=True)
            if row[heading] != "-"
        }
        model, paper = re.match(r"\[(.+)\]\((.*?)\)", row["Model"]).groups()
        links = [re.sub(r"^\[\w+\]\((.*)\)$", r"\1", row[heading]) or None for heading in headings[-2:]]
        found.append((model, paper or None, scores, *links, notes[row["note"]]))
    expected = [(r.model, r.paper, dict(r.metrics), r.repository, r.texts, r.source) for r in board.rows]
    assert sorted(found, key=str) == sorted(expected, key=str)


def test_markdown_is_textbox_s_format(folder: Path, capsys: pytest.CaptureFixture) -> None:
    write_run(folder / "saved", "run", 25.25)
    (folder / "saved" / "run" / "generation.txt").write_text("A text.\n")
    assert main(["leaderboard", "toy", "--markdown=out.md"]) == 0
    assert lines(capsys) == ["The leaderboard is in out.md."]
    assert (
        (folder / "out.md").read_text()
        == """\
## LeaderBoard

Descending order by ROUGE-2.

| Model | ROUGE-2 | CIDEr | Repository | Generated Text |
| ----- | ------- | ----- | ---------- | -------------- |
| [Best]()[^1] | $30.00$ | - | [Official](https://example.org/code) |  |
| **ELMER (ours)** (NAR)[^2] | $25.25$ | $25.00$ |  | [Corpus](<saved/run/generation.txt>) |
| [Middle](https://arxiv.org/abs/1) (NAR, protocol differs)[^3] | $20.50$ | $94.10$ |  |  |
| [Unscored]()[^1] | - | $3.00$ |  |  |

CIDEr is on the published scale: 10 times ours.

[^1]: Read at <https://example.org/best>.

[^2]: Ours, in `saved/run`, by `run_textbox.py --model=ELMER --dataset=toy --filename=run`, at commit \
`0123456789abcdef0123456789abcdef01234567` (1,300 test examples).

[^3]: Read at <https://example.org/middle>. Protocol: canvas sized by the reference.
"""
    )


def test_markdown_goes_to_a_file_or_out(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["leaderboard", "toy", "--markdown", "one.md"]) == 0
    capsys.readouterr()
    assert main(["leaderboard", "toy", "--markdown", "--saved_dir=."]) == 0
    assert capsys.readouterr().out == (folder / "one.md").read_text()


def test_without_a_name_all_are_listed(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["leaderboard"]) == 0
    shown = [line.split() for line in lines(capsys)]
    assert ["toy", "Toy", "Text", "summarization", "rouge-2", "3"] in shown
    assert any(words[:2] == ["xsum", "XSum"] for words in shown)
    assert any(words and words[0] == "coqaqg" and words[-1] == "0" for words in shown)


def test_nothing_published_and_no_run(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["leaderboard", "coqaqg"]) == 0
    assert "No published row was found, and there is no run of yours." in lines(capsys)
    write_run(folder / "saved", "run", 0, dataset="coqaqg", metrics={"bleu-4": 15.5})
    assert main(["leaderboard", "coqaqg"]) == 0
    assert re.search(r"ELMER \(ours\) +NAR +2.2M +15.50", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (["tox"], "There is no leaderboard of 'tox'. Did you mean toy?"),
        (["../leaderboard/toy"], "There is no leaderboard of '../leaderboard/toy'."),
        (["--saved_dir=saved"], "names its dataset first: textbox-elmer leaderboard xsum"),
        (["toy", "xsum"], "'xsum' is no option"),
        (["toy", "--sort=rouge-1"], "`textbox-elmer leaderboard` has no option --sort: "),
        (["toy", "--saved_dir=nowhere"], "There is no folder 'nowhere': check --saved_dir."),
        (["toy", "--saved_dir=nowhere", "--markdown"], "There is no folder 'nowhere': check --saved_dir."),
        (["toy", "--markdown=nowhere/out.md"], "'nowhere/out.md' cannot be written (No such file or directory)"),
    ],
)
def test_mistakes(folder: Path, capsys: pytest.CaptureFixture, typed: list[str], sentence: str) -> None:
    assert main(["leaderboard", *typed]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("Error: ")
    assert sentence in said


def test_a_broken_file_is_one_sentence_and_status_2(folder: Path, capsys: pytest.CaptureFixture) -> None:
    path = folder / "properties" / "leaderboard" / "toy.yaml"
    path.write_text(path.read_text().replace("rouge-2: 20.5", "ruoge-2: 20.5"))
    for typed in (["leaderboard", "toy"], ["leaderboard"]):
        assert main(typed) == 2
        assert capsys.readouterr().err == (
            "Error: The leaderboard 'properties/leaderboard/toy.yaml', line 11: 'ruoge-2' is none of the leaderboard's "
            "metrics: did you mean 'rouge-2'?\n"
        )


@pytest.mark.parametrize("name", leaderboard_names())
def test_shipped_tables_fit_a_pipe(name: str, folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["leaderboard", name]) == 0
    too_long = [line.strip() for line in capsys.readouterr().out.splitlines() if len(line) > 100]
    assert all(re.fullmatch(r"\d+  https://\S+", line) for line in too_long), "only an address may be longer"
