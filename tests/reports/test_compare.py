"""Comparisons: models trained alike, tested side by side, continued where they stopped."""

import json
import re
import xml.etree.ElementTree
from pathlib import Path

import numpy as np
import pytest
from sacrebleu.metrics import BLEU
from sacrebleu.significance import PairedTest

from tests.conftest import TINY, options
from textbox_elmer.cli import main
from textbox_elmer.errors import UserError
from textbox_elmer.files import held
from textbox_elmer.metrics import build_corpus, evaluate
from textbox_elmer.metrics.registry import with_defaults
from textbox_elmer.reports.compare import plot
from textbox_elmer.reports.compare.plan import read_plan
from textbox_elmer.reports.compare.side_by_side import write_side_by_side
from textbox_elmer.reports.compare.significance import drawn_scores, p_value
from textbox_elmer.runtime.config import parse_command_line, resolve_config
from textbox_elmer.trials import trial

KEYS = {"src_len", "tgt_len", "epochs", "train_batch_size", "learning_rate", "d_model", "vocab_size", "use_gpu"}
SETTINGS = {key: TINY[key] for key in sorted(KEYS)} | {"generation_kwargs": {}, "metrics": ["rouge", "distinct"]}


def command(models: str, **changes: object) -> list[str]:
    """A comparison on `toy`, options in both ways of writing them."""
    return [
        "compare",
        "--models",
        models,
        "--dataset=toy",
        *options(SETTINGS | {"resamples": 50, "out": "out"} | changes),
    ]


def written(folder: Path) -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("*/results.json")}


def test_a_comparison(workplace: Path, capfd: pytest.CaptureFixture) -> None:
    assert main(command("ELMER,BART", seeds=2)) == 0
    printed = capfd.readouterr().out
    out = workplace / "out"
    report = json.loads((out / "compare.json").read_text())
    assert [row["model"] for row in report["rows"]] == ["ELMER", "BART"]
    assert (report["seeds"], report["examples"], report["main_metric"]) == ([2020, 2021], 13, "rouge-1")
    references = (workplace / "dataset" / "toy" / "test.tgt").read_text().splitlines()
    for row in report["rows"]:
        assert len(set(row["steps"])) == 1
        assert row["ms_per_example"]["mean"] > 0
        scores = {}
        for seed in report["seeds"]:
            side = json.loads((out / f"side-by-side-{seed}.json").read_text())
            texts = side[row["model"]]["texts"]
            assert texts == (out / f"{row['model']}-{seed}" / "generation.txt").read_text().splitlines()
            for name, value in evaluate(texts, references, {"metrics": ["rouge", "distinct"]}).items():
                scores.setdefault(name, []).append(value)
        for name, values in scores.items():
            found = row["metrics"][name]
            assert found["values"] == pytest.approx(values, abs=0.006)
            assert found["mean"] == pytest.approx(np.mean(values), abs=0.006)
            assert found["deviation"] == pytest.approx(np.std(values, ddof=1), abs=0.01)
            assert ("p" in found) == (row["model"] == "BART")
        assert re.search(rf"\| {row['model']} \| {row['parameters'] / 1e6:.1f} M \|", (out / "compare.md").read_text())
        assert row["model"] in printed
    speeds = [row["ms_per_example"]["mean"] for row in report["rows"]]
    assert report["rows"][1]["speed"] == pytest.approx(speeds[0] / speeds[1])
    assert (out / "compare.png").read_bytes().startswith(b"\x89PNG")
    drawing = "".join(xml.etree.ElementTree.parse(out / "compare.svg").getroot().itertext())
    assert drawing is not None
    assert report["command"] in (out / "compare.md").read_text()


def test_a_causal_model_goes_on_with_its_source(workplace: Path) -> None:
    changes = {"n_embd": 32, "out": "out", "learning_rate": 0.01, "epochs": 12}
    settings = {key: value for key, value in SETTINGS.items() if key != "d_model"} | changes
    assert main(["compare", "--models=gpt2", "--dataset=toy", *options(settings)]) == 0
    texts = json.loads((workplace / "out" / "side-by-side-2020.json").read_text())["GPT-2"]["texts"]
    assert texts == (workplace / "out" / "GPT-2-2020" / "generation.txt").read_text().splitlines()
    assert len(set(texts)) > 1


def test_what_is_done_is_not_done_again(workplace: Path, capfd: pytest.CaptureFixture) -> None:
    """One more model trains that model alone; a run that was stopped goes on from its checkpoint."""
    assert main(command("ELMER")) == 0
    before = written(workplace / "out")
    assert main(command("ELMER,BART")) == 0
    after = written(workplace / "out")
    assert after["ELMER-2020"] == before["ELMER-2020"]
    assert set(after) == {"ELMER-2020", "BART-2020"}
    assert {row["model"] for row in json.loads((workplace / "out" / "compare.json").read_text())["rows"]} == {
        "ELMER",
        "BART",
    }
    stopped = workplace / "out" / "BART-2020"
    (stopped / "results.json").unlink()
    capfd.readouterr()
    assert main(command("ELMER,BART")) == 0
    assert "Continuing the training of" in "".join(capfd.readouterr())
    assert written(workplace / "out")["ELMER-2020"] == before["ELMER-2020"]
    assert json.loads((stopped / "results.json").read_text())["training"]["steps"] == 20
    assert main(command("ELMER,BART", learning_rate=0.1)) == 2
    assert "'out' holds runs under other options" in capfd.readouterr().err


@pytest.mark.parametrize("seed", range(3))
def test_p_values_are_sacrebleus(seed: int) -> None:
    """Corpus BLEU of two systems that differ a little, more and much; sacrebleu draws its examples itself."""
    draw = np.random.default_rng(seed)
    words = [f"word{number}" for number in range(30)]
    references = [" ".join(draw.choice(words, 12)) for _ in range(60)]

    def spoilt(share: float) -> list[str]:
        return [" ".join(w if draw.random() > share else "none" for w in text.split()) for text in references]

    systems = {"base": spoilt(0.3), "near": spoilt(0.32), "far": spoilt(0.4)}
    config = with_defaults({"metrics": ["bleu"], "bleu_type": "sacrebleu"})
    scores = {
        name: drawn_scores([build_corpus(texts, references, config)], config, 400)["bleu"]
        for name, texts in systems.items()
    }
    test = PairedTest(
        list(systems.items()), {"BLEU": BLEU(references=[references])}, None, test_type="bs", n_samples=400
    )
    _, theirs = test()
    for name, result in list(zip(systems, theirs["BLEU"], strict=True))[1:]:
        assert scores[name][0, 0] == pytest.approx(result.score, abs=0.01)
        assert p_value(scores["base"], scores[name]) == pytest.approx(result.p_value, abs=0.01)


def test_systems_that_write_alike_do_not_differ() -> None:
    scores = np.array([[12.0, 11.0, 13.0]])
    assert p_value(scores, scores) == 1.0
    assert p_value(np.zeros((1, 101)), np.array([[5.0, *np.linspace(4, 6, 100)]])) == pytest.approx(1 / 101)
    assert p_value(np.zeros((2, 3)), np.array([[5.0, 1.0, 9.0], [-5.0, -1.0, -9.0]])) == 1.0, "seeds are averaged"


def test_means_over_texts_are_drawn_as_the_corpus_would_be() -> None:
    """ROUGE is a mean over texts, distinct is not: both are what scoring the drawn texts anew gives."""
    draw = np.random.default_rng(0)
    texts, references = ([" ".join(draw.choice(list("abcdef"), 5)) for _ in range(9)] for _ in range(2))
    config = with_defaults({"metrics": ["rouge", "distinct"]})
    found = drawn_scores([build_corpus(texts, references, config)], config, 3)
    for number, row in enumerate(np.random.default_rng(12345).integers(9, size=(3, 9)), start=1):
        again = evaluate([texts[i] for i in row], [references[i] for i in row], config)
        for name, value in again.items():
            assert found[name][0, number] == pytest.approx(value, abs=0.006)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "`textbox-elmer compare` needs --models, -d/--dataset, e.g. textbox-elmer compare --models ELMER"),
        (["--models", "ELMER,BART"], "`textbox-elmer compare` needs -d/--dataset"),
        (["--models", "ELMER,BERT", "--dataset=toy"], "There is no model called 'BERT'"),
        (["--models", "ELMER", "--dataset=toyz"], "There is no dataset 'toyz'"),
        (["--models", "ELMER", "--dataset=toy", "--seeds", "0"], "--seeds must be a whole number above 0, not '0'"),
        (["--models", "ELMER", "--dataset=toy", "--seed=3"], "`compare` has no option --seed"),
        (["--models", "ELMER", "--dataset=toy", "--lerning_rate=3"], "did you mean --learning_rate"),
        (["--models", "ELMER", "--dataset=toy", "--metrics=[rougue]"], "There is no metric 'rougue'"),
    ],
)
def test_mistakes(workplace: Path, capfd: pytest.CaptureFixture, arguments: list[str], message: str) -> None:
    assert main(["compare", *arguments]) == 2
    assert message in capfd.readouterr().err
    assert not (workplace / "saved").exists()


def test_unequal_budgets_are_no_comparison(workplace: Path, capfd: pytest.CaptureFixture) -> None:
    (workplace / "properties" / "model").mkdir(parents=True)
    (workplace / "properties" / "model" / "BART.yaml").write_text("epochs: 7\n")
    assert main(["compare", "--models", "ELMER,BART", "--dataset=toy"]) == 2
    assert "ELMER and BART would not train alike: epochs is 50 for one and 7 for the other" in capfd.readouterr().err


def test_without_matplotlib(workplace: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(plot, "find_spec", lambda name: None)
    assert main(command("ELMER")) == 2
    assert "pip install 'textbox-elmer[reports]'" in capfd.readouterr().err


def test_a_failed_training_is_named(workplace: Path, capfd: pytest.CaptureFixture) -> None:
    (workplace / "dataset" / "toy" / "valid.tgt").unlink()
    assert main(command("ELMER")) == 2
    printed = capfd.readouterr().err
    assert "valid.tgt" in printed
    assert "The run 'out/ELMER-2020' failed" in printed


def test_one_works_in_a_comparison(workplace: Path, capfd: pytest.CaptureFixture) -> None:
    with held(Path("out"), ""):
        assert main(command("ELMER,BART")) == 2
    assert "Another process is at work on 'out': wait until it has ended, or give another --out." in (
        capfd.readouterr().err
    )
    assert not Path("out").exists()


def test_a_plot_is_drawn_through_no_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    for kind in ("png", "svg"):
        (tmp_path / f"compare.{kind}").symlink_to("victim")
    spread = {"mean": 2.0, "deviation": 0.5}
    row = {"model": "ELMER", "ms_per_example": spread, "metrics": {"rouge-1": spread}}
    plot.draw({"main_metric": "rouge-1", "rows": [row], "batch_size": 8, "dataset": "toy"}, tmp_path)
    assert (tmp_path / "victim").read_text() == "precious"
    assert (tmp_path / "compare.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "compare.svg").read_text()


def test_config_files_reach_every_run(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    (workplace / "a b.yaml").write_text("epochs: 1\nlearning_rate: 0.001\n")
    (workplace / "other.yaml").write_text("learning_rate: 0.002\nprefix_prompt: 'say: '\n")
    started: list[list[str]] = []

    def fail(words: list[str]) -> int:
        started.append(words)
        return 1

    monkeypatch.setattr(trial, "_run", fail)
    typed = [word for word in command("ELMER") if not word.startswith(("--epochs", "--learning_rate"))]
    assert main([*typed, "--config_files", "a b.yaml", "other.yaml"]) == 2
    assert "The run 'out/ELMER-2020' failed" in capfd.readouterr().err
    (words,) = started
    config = resolve_config(command_line=parse_command_line(words))
    assert (config["epochs"], config["learning_rate"], config["prefix_prompt"]) == (1, 0.002, "say: ")
    assert main([*typed, "--config_files", "a b.yaml"]) == 2
    assert "'out' holds runs under other options" in capfd.readouterr().err


def test_config_files_do_not_undo_a_comparison(workplace: Path, capfd: pytest.CaptureFixture) -> None:
    (workplace / "a.yaml").write_text("do_test: false\n")
    assert main([*command("ELMER"), "--config_files=a.yaml"]) == 2
    assert "do_test is False (a.yaml): leave it out" in capfd.readouterr().err
    assert not (workplace / "out").exists()


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"ELMER": 1}', '{"ELMER": {"texts": ["a"]}}'])
def test_damaged_texts_are_written_anew(workplace: Path, content: str) -> None:
    plan = read_plan(["ELMER"], "toy", out=Path("out"))
    run = workplace / "out" / "ELMER-2020"
    run.mkdir(parents=True)
    (run / "results.json").write_text("{}")
    (workplace / "out" / "side-by-side-2020.json").write_text(content)
    with pytest.raises(UserError, match=r"ELMER-2020/config.yaml' is missing"):  # so it looks for the model
        write_side_by_side(plan, 2020)
