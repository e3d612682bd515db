"""Several runs at once: `--multi_seed` and `--space`, and that neither makes a run twice."""

import json
import math
import os
import re
import statistics
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import TINY, options
from textbox_elmer.cli import main
from textbox_elmer.files import held
from textbox_elmer.runtime.config import parse_command_line
from textbox_elmer.trials import trial

KEYS = ("src_len", "tgt_len", "train_batch_size", "learning_rate", "d_model", "vocab_size", "use_gpu", "metrics")
TYPED = {key: TINY[key] for key in KEYS} | {"epochs": 1}
COMMAND = ["--model=ELMER", "--dataset=toy"]


def typed(*left_out: str) -> list[str]:
    return COMMAND + options({key: value for key, value in TYPED.items() if key not in left_out})


def finished(folder: Path) -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("*/results.json")}


def test_several_seeds(workplace: Path, capfd: pytest.CaptureFixture) -> None:
    assert main([*typed(), "--multi_seed=2"]) == 0
    folder = workplace / "saved" / "ELMER-toy-multi_seed"
    draw = np.random.default_rng(2020)  # as TextBox draws them
    seeds = [int(draw.integers(10**9)) for _ in range(3)]
    assert set(finished(folder)) == {f"seed-{seed}" for seed in seeds[:2]}
    report = json.loads((folder / "multi_seed.json").read_text())
    assert [row["seed"] for row in report["trials"]] == seeds[:2]
    for row in report["trials"]:
        results = json.loads((folder / f"seed-{row['seed']}" / "results.json").read_text())
        assert results["seed"] == row["seed"]
        assert "metrics" not in results, "TextBox's trials are not tested"
        assert row["valid loss"] == results["training"]["best_metrics"]["loss"]
        assert sum(row[f"valid rouge-{n}"] for n in "12l") == pytest.approx(results["training"]["best_score"])
        assert not list((folder / f"seed-{row['seed']}").glob("checkpoint*"))
    losses = [row["valid loss"] for row in report["trials"]]
    assert losses[0] != losses[1]
    assert report["summary"]["valid loss"]["mean"] == pytest.approx(statistics.fmean(losses))
    assert report["summary"]["valid loss"]["deviation"] == pytest.approx(statistics.stdev(losses))
    before = finished(folder)
    assert main([*typed(), "--multi_seed=3"]) == 0
    after = finished(folder)
    assert {name: after[name] for name in before} == before
    assert set(after) == {f"seed-{seed}" for seed in seeds}
    capfd.readouterr()
    assert main([*typed("epochs"), "--epochs=2", "--multi_seed=2"]) == 2
    assert "ELMER-toy-multi_seed' holds runs under other options" in capfd.readouterr().err


def test_an_exhaustive_search(workplace: Path, capfd: pytest.CaptureFixture) -> None:
    (workplace / "space").write_text(
        "# rates\n\nlearning_rate choice [3e-3, 0.03]\nexit_mode choice ['soft', 'last']\n"
    )
    command = [*typed("learning_rate"), "--space=space", "--filename=found"]
    assert main(command) == 0
    report = json.loads((workplace / "saved" / "found" / "search.json").read_text())
    tried = {tuple(row["values"].values()) for row in report["trials"]}
    assert tried == {(rate, mode) for rate in (0.003, 0.03) for mode in ("soft", "last")}
    assert len(report["trials"]) == 4
    assert report["best"]["score"] == max(row["score"] for row in report["trials"])
    for row in report["trials"]:
        results = json.loads((workplace / row["run"] / "results.json").read_text())
        assert results["training"]["best_score"] == row["score"]
        assert f"--learning_rate={row['values']['learning_rate']}" in results["command"]
    printed = capfd.readouterr().out
    assert f"Best: {report['best']['values']}" in printed
    before = finished(workplace / "saved" / "found")
    assert main(command) == 0
    assert finished(workplace / "saved" / "found") == before


def test_a_search_among_numbers(workplace: Path) -> None:
    """TextBox's methods are hyperopt's: loguniform takes exponents of e, quniform multiples."""
    lines = ["learning_rate loguniform [-7, -5]", "train_batch_size quniform [8, 16, 4]", "dropout uniform [0, 0.5]"]
    (workplace / "space").write_text("\n".join(lines))
    command = [*typed("learning_rate", "train_batch_size"), "--metrics_for_best_model=[loss]"]
    assert main([*command, "--space=space", "--algo=hyperopt.tpe", "--max_evals=3"]) == 0
    report = json.loads((workplace / "saved" / "ELMER-toy-search" / "search.json").read_text())
    assert len(report["trials"]) == 3
    for row in report["trials"]:
        assert math.exp(-7) <= row["values"]["learning_rate"] <= math.exp(-5)
        assert row["values"]["train_batch_size"] in (8, 12, 16)
        assert 0 <= row["values"]["dropout"] <= 0.5
    assert report["best"]["score"] == min(row["score"] for row in report["trials"])


@pytest.mark.parametrize(
    ("arguments", "space", "message"),
    [
        (["--multi_seed=0"], "", "--multi_seed is a whole number of runs above 0, not 0"),
        (["--multi_seed=many"], "", "--multi_seed is a whole number of runs above 0, not 'many'"),
        (["--multi_seed=2", "--do_valid=False"], "", "Trials train and validate: leave --do_train=False"),
        (["--multi_seed=2", "--space=space"], "epochs choice [1]", "Give either --multi_seed, or --space"),
        (["--algo=tpe"], "", "Give either --multi_seed, or --space"),
        (["--multi_seed=2", "--textbox_home=TextBox"], "", "--multi_seed is not for a checkout"),
        (["--space=none"], "", "The search space 'none' cannot be read (No such file or directory)"),
        (["--space=space"], "# nothing", "The search space 'space' is empty"),
        (["--space=space"], "\nepochs choice", "'space', line 2, is no <option> <method> <values>"),
        (["--space=space"], "epochs choise [1]", "'space', line 1: there is no method 'choise': did you mean choice?"),
        (["--space=space"], "epochs choice __import__('os')", "is no list of plain values"),
        (["--space=space"], "epochs choice 3", "is no list of plain values"),
        (["--space=space"], "dropout uniform [0.5, 0.1]", "uniform takes [lowest, highest], not [0.5, 0.1]"),
        (["--space=space"], "epochs quniform [1, 3]", "quniform takes [lowest, highest, step], not [1, 3]"),
        (["--space=space"], "epochs choice [1]\nepochs choice [2]", "line 2: epochs is searched twice"),
        (["--space=space"], "epoch choice [1]", "did you mean --epochs"),
        (["--space=space"], "dataset choice ['toy']", "dataset is both given and searched"),
        (
            ["--space=space"],
            "learning_rate choice [1e-3, 1e999]",
            "line 1: '[1e-3, 1e999]' holds more than plain",
        ),
        (["--space=space"], f"dropout uniform [0, 1{'0' * 400}]", "holds more than plain values"),
        (["--space=space"], "dropout choice [0.1, 1j]", "holds more than plain values"),
        (["--space=space"], "learning_rate loguniform [-7, 1000]", "loguniform takes exponents of e, up to 43"),
        (["--space=space"], "dropout quniform [0, 1, 1e-320]", "has more than 1,000,000 steps"),
        (["--space=space"], "optimizer choice ['adamw', 'adamm']", "'space' has optimizer='adamm': optimizer must be"),
        (["--space=space"], "label_smoothing uniform [0, 7]", "'space' has label_smoothing=7.0: label_smoothing must"),
        (
            ["--space=space"],
            "filename choice ['a', 'b']",
            "filename names where trials lie and is not searched",
        ),
        (
            ["--space=space"],
            f"dropout choice {[n / 200 for n in range(101)]}\nseed choice {list(range(100))}",
            "10,100",
        ),
        (["--space=space", "--max_evals=1000000"], "dropout uniform [0, 0.5]", "1,000,000 trials are more than"),
        (["--space=space", "--algo=grid"], "dropout choice [0.1]", "--algo is exhaustive, tpe or rand, not 'grid'"),
        (["--space=space", "--max_evals=0"], "dropout choice [0.1]", "--max_evals is a whole number of trials above 0"),
    ],
)
def test_mistakes(
    workplace: Path, capfd: pytest.CaptureFixture, arguments: list[str], space: str, message: str
) -> None:
    (workplace / "space").write_text(space)
    assert main([*COMMAND, *arguments]) == 2
    assert message in capfd.readouterr().err
    assert not (workplace / "saved").exists()
    assert os.listdir(workplace / "dataset") == ["toy"]


@pytest.mark.parametrize("kind", ["multi_seed", "search"])
def test_one_works_in_a_folder_of_trials(workplace: Path, capfd: pytest.CaptureFixture, kind: str) -> None:
    (workplace / "space").write_text("dropout choice [0.1]")
    arguments = {"multi_seed": "--multi_seed=1", "search": "--space=space"}
    with held(Path(f"saved/ELMER-toy-{kind}"), ""):
        assert main([*typed(), arguments[kind]]) == 2
    assert f"Another process is at work on 'saved/ELMER-toy-{kind}'" in capfd.readouterr().err
    assert os.listdir("saved") == []


def run_by_hand(monkeypatch: pytest.MonkeyPatch, scores: list[float | None]) -> None:
    """Let trials leave results with these best scores, in their order, without running."""

    def run(words: list[str]) -> int:
        typed = parse_command_line(words)
        folder = Path(typed["saved_dir"]) / typed["filename"]
        folder.mkdir(parents=True)
        score = scores.pop(0)
        training = {"steps": 1, "seconds": 1.0, "best_score": score, "best_metrics": {"loss": score or math.nan}}
        results = {"model": "ELMER", "dataset": "toy", "training": training}
        (folder / "results.json").write_text(json.dumps(results))
        return 0

    monkeypatch.setattr(trial, "_run", run)


SEARCH = [*COMMAND, "--space=space", "--filename=found"]


def test_a_trial_that_diverges_is_no_best(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workplace / "space").write_text("seed choice [1, 2, 3, 4]")
    run_by_hand(monkeypatch, [math.nan, 2.0, None, 1.0])
    assert main(SEARCH) == 0
    report = json.loads((workplace / "saved" / "found" / "search.json").read_text())
    assert report["best"]["score"] == 2.0
    assert len(report["trials"]) == 4


def test_nothing_but_diverged_trials(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    (workplace / "space").write_text("seed choice [1, 2]")
    run_by_hand(monkeypatch, [None, math.nan])
    assert main(SEARCH) == 2
    assert capfd.readouterr().err.startswith("Error: No trial has reached a score")


def test_a_trial_that_fails_is_one_sentence(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    (workplace / "space").write_text("d_model choice [32, 33]")
    monkeypatch.setattr(trial, "_run", lambda words: 2)
    assert main(SEARCH) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "failed, as said above" in line


def test_seeds_that_diverge_have_a_mean(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_by_hand(monkeypatch, [math.inf, 2.0])
    assert main([*COMMAND, "--multi_seed=2"]) == 0


@pytest.mark.parametrize("content", ["", "[1]", '{"model": "M"}', '{"model": "M", "dataset": "D", "training": {}}'])
def test_damaged_results_are_named(workplace: Path, capfd: pytest.CaptureFixture, content: str) -> None:
    seed = int(np.random.default_rng(2020).integers(10**9))
    run = workplace / "saved" / "ELMER-toy-multi_seed" / f"seed-{seed}"
    run.mkdir(parents=True)
    (run / "results.json").write_text(content)
    assert main([*COMMAND, "--multi_seed=1"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"Error: 'saved/ELMER-toy-multi_seed/seed-{seed}/results.json' is damaged (")


@pytest.mark.parametrize("content", ["", "{", "[" * 99_999, b"\xff"])
def test_damaged_settings_are_named(workplace: Path, capfd: pytest.CaptureFixture, content: str | bytes) -> None:
    path = workplace / "saved" / "found" / "settings.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for typed in ([*COMMAND, "--multi_seed=1", "--filename=found"], ["compare", "--models=ELMER", *COMMAND[1:]]):
        assert main([*typed, *(["--out=saved/found"] if typed[0] == "compare" else [])]) == 2
        (line,) = capfd.readouterr().err.splitlines()
        assert line.startswith("Error: 'saved/found/settings.json' is damaged (")
    assert sorted(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("out", ["file", "file/inside", "/proc/inside", "/dev/null"])
def test_places_that_cannot_be_written(workplace: Path, capfd: pytest.CaptureFixture, out: str) -> None:
    (workplace / "file").write_text("kept")
    for typed in ([*COMMAND, "--multi_seed=1", f"--saved_dir={out}"], ["compare", "--models=ELMER", *COMMAND[1:]]):
        assert main([*typed, *([f"--out={out}"] if typed[0] == "compare" else [])]) == 2
        (line,) = capfd.readouterr().err.splitlines()
        assert re.match(rf"Error: '{out}.*' cannot be written \(", line)
    assert (workplace / "file").read_text() == "kept"
