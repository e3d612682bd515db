"""generation.jsonl: the tokens of a test's texts, and how the model came to each."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from tests.conftest import FIXTURES, PUBLISHED, options, save_small_elmer, tiny
from textbox_elmer import ElmerForConditionalGeneration, run_textbox
from textbox_elmer.errors import UserError
from textbox_elmer.runtime.models.generation import Generated
from textbox_elmer.runtime.runs.traces import Trace, format_traces, make_traces, read_traces

REPOSITORY = Path(__file__).parents[3]
TOKENIZER = AutoTokenizer.from_pretrained(FIXTURES / "textbox" / "tokenizer")


GRAPH = {"alignment": "dag", "canvas_input": "source", "copy_source": True, "normalize_before": True}


@pytest.mark.parametrize("fields", [None, GRAPH, GRAPH | {"alignment": "ctc"}], ids=["position", "dag", "ctc"])
@pytest.mark.parametrize("exit_mode", ["hard", "soft"])
def test_a_test_leaves_what_the_model_says_of_each_token(
    workplace: Path, fields: dict[str, Any] | None, exit_mode: str
) -> None:
    changes = {"exit_mode": exit_mode, "exit_threshold": 3.0, "eval_batch_size": 4}
    if fields is None:
        changes |= PUBLISHED
    else:
        start = save_small_elmer(workplace / "start", canvas_length=10, **fields)
        changes |= {"model_path": str(start), "epochs": 3, "learning_rate": 0.005}
    results = run_textbox("ELMER", "toy", config_dict=tiny(**changes))
    run = Path(results["run"])
    traces = read_traces(run / "generation.jsonl")
    texts = (run / "generation.txt").read_text().splitlines()
    assert ["".join(trace.pieces).strip() or "NULL" for trace in traces] == texts
    for key, name in (("exit_layers", "mean_exit_layer"), ("settled_layers", "mean_settled_layer")):
        layers = [layer for trace in traces for layer in getattr(trace, key)]
        assert results[name] == pytest.approx(sum(layers) / len(layers))
    assert results["distinct_texts"] == len(set(texts))
    tokenizer = AutoTokenizer.from_pretrained(run / "checkpoint_best")
    model = ElmerForConditionalGeneration.from_pretrained(run / "checkpoint_best")
    assert results["decoding"]["canvas_positions"] == (10 if fields is None else 40)
    for source, trace in zip((Path("dataset/toy/test.src")).read_text().splitlines(), traces, strict=True):
        batch = tokenizer([source], truncation=True, max_length=24, return_tensors="pt")
        options = {"max_length": 10, "return_dict_in_generate": True, "output_scores": True}
        output = model.generate(**batch, **options)
        for key in ("exit_layers", "settled_layers", "vertices", "copied"):
            assert getattr(trace, key) == getattr(output, key)[0].tolist()
        assert trace.scores == pytest.approx(output.scores[0].tolist(), abs=1e-3)
    if fields is not None:
        assert any(any(trace.copied) for trace in traces), "the model must copy, or nothing is seen of it"


def test_a_long_test_scores_a_part_of_every_batch(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textbox_elmer.runtime.training.trainer.SCORED_EXAMPLES", 6)
    whole = run_textbox("ELMER", "toy", config_dict=tiny(eval_batch_size=13, filename="whole"))
    changes = {"do_train": False, "model_path": f"{whole['run']}/checkpoint_best"}
    parts = run_textbox("ELMER", "toy", config_dict=tiny(eval_batch_size=4, filename="parts", **changes))
    for results, scored in ((whole, 6), (parts, 2 + 2 + 2 + 1)):
        traces = read_traces(Path(results["run"]) / "generation.jsonl")
        assert sum(trace.scores is not None for trace in traces) == scored
        assert all(trace.exit_layers for trace in traces), "layers cost nothing and are there for all"


def test_two_processes_leave_what_one_does(workplace: Path) -> None:
    changes = {"exit_mode": "hard", "exit_threshold": 2.2, "learning_rate": 0.01, "epochs": 4, "eval_batch_size": 4}
    config = tiny(**PUBLISHED, **changes)
    one = run_textbox("ELMER", "toy", config_dict=config)
    config |= {
        "do_train": False,
        "model_path": f"{one['run']}/checkpoint_best",
        "filename": "two",
        "eval_batch_size": 3,
    }
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone"]
    command += [str(REPOSITORY / "run_textbox.py"), "--model=ELMER", "--dataset=toy", *options(config)]
    environment = os.environ | {"HF_DATASETS_CACHE": str(workplace / "cache")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(Path("saved/two/results.json").read_text())["mean_exit_layer"] == one["mean_exit_layer"]
    ours, theirs = (read_traces(Path(run) / "generation.jsonl") for run in (one["run"], "saved/two"))
    assert len({layer for trace in ours for layer in trace.exit_layers}) == 2
    for single, shared in zip(ours, theirs, strict=True):
        assert replace(shared, scores=None) == replace(single, scores=None)
        assert shared.scores == pytest.approx(single.scores, abs=1e-3)


def test_a_model_without_exits_leaves_none(workplace: Path) -> None:
    results = run_textbox("BART", "toy", config_dict=tiny("BART", epochs=1))
    assert not (Path(results["run"]) / "generation.jsonl").exists()


def generated(rows: list[list[int]], **changes: np.ndarray) -> Generated:
    """What a one-layer model that does not copy would generate as `rows`, padded with -1."""
    longest = max(map(len, rows))
    ids = np.array([row + [-1] * (longest - len(row)) for row in rows])
    layers = np.where(ids < 0, -1, 0)
    places = np.where(ids < 0, -1, np.arange(longest))
    return Generated(ids, layers, layers, places, np.zeros(ids.shape), np.full(ids.shape, 0.5))._replace(**changes)


@pytest.mark.parametrize("text", ["Two words", "naïve — 🙂 and 日本語", "", " \ufffd odd"])
def test_pieces_add_up_to_the_text(text: str) -> None:
    ids = [*TOKENIZER(text, add_special_tokens=False)["input_ids"], TOKENIZER.eos_token_id]
    (trace,) = make_traces(TOKENIZER, *generated([ids]))
    assert "".join(trace.pieces) == text
    assert trace.pieces[-1] == ""
    assert {len(values) for values in vars(trace).values()} == {len(ids)}


def test_a_character_of_several_tokens_shows_at_its_last() -> None:
    ids = TOKENIZER("🙂", add_special_tokens=False)["input_ids"]
    assert len(ids) > 1
    (trace,) = make_traces(TOKENIZER, *generated([ids]))
    assert trace.pieces == [*[""] * (len(ids) - 1), "🙂"]


def test_traces_survive_their_file(tmp_path: Path) -> None:
    texts = [TOKENIZER(text)["input_ids"] for text in ("of one length", "or another")]
    shape = (2, max(map(len, texts)))
    written = generated(
        texts,
        settled_layers=np.zeros(shape, int),
        exit_layers=np.where(generated(texts).ids < 0, -100, 3),
        vertices=np.arange(shape[1])[None] * 7 + 1 + np.zeros(shape, int),
        copied=np.arange(shape[1])[None] % 2 + np.zeros(shape, int),
        scores=np.array([[0.25], [np.nan]]) + np.zeros(shape),
    )
    path = tmp_path / "generation.jsonl"
    path.write_text(format_traces(make_traces(TOKENIZER, *written)))
    for trace, ids, scored in zip(read_traces(path), texts, (True, False), strict=True):
        count = len(ids)
        assert trace.exit_layers == [3] * count
        assert trace.settled_layers == [0] * count
        assert trace.vertices == [7 * place + 1 for place in range(count)]
        assert trace.copied == [place % 2 == 1 for place in range(count)]
        assert trace.scores == ([0.25] * count if scored else None)


def test_a_file_of_an_older_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "generation.jsonl"
    path.write_text(f"{json.dumps(OLD)}\n")
    assert read_traces(path) == [Trace(["a", ""], [0, 1], [0.5, 1], None, None, None)]


OLD = {"pieces": ["a", ""], "exit_layers": [0, 1], "scores": [0.5, 1]}
SOUND = OLD | {"settled_layers": [0, 0], "vertices": [3, 9], "copied": [False, True]}


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        json.dumps(SOUND | {"scores": [0.5]}),
        json.dumps(SOUND | {"scores": [0.5, 7]}),
        json.dumps(SOUND | {"exit_layers": [0, -1]}),
        json.dumps(SOUND | {"exit_layers": [0, "1"]}),
        json.dumps(SOUND | {"pieces": ["a", 1]}),
        json.dumps(SOUND | {"settled_layers": [0]}),
        json.dumps(SOUND | {"settled_layers": [0, 2]}),
        json.dumps(SOUND | {"settled_layers": [-1, 0]}),
        json.dumps(SOUND | {"vertices": [3, 3]}),
        json.dumps(SOUND | {"vertices": [-1, 3]}),
        json.dumps(SOUND | {"vertices": [0, 10**9]}),
        json.dumps(SOUND | {"vertices": [0, 1.5]}),
        json.dumps(SOUND | {"copied": [0, 1]}),
        json.dumps(SOUND | {"copied": True}),
        json.dumps(SOUND | {"more": 1}),
        "[" * 100_000,
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "generation.jsonl"
    path.write_text(f"{json.dumps(SOUND)}\n{line}\n")
    with pytest.raises(UserError, match=r"generation.jsonl', line 2, is damaged"):
        read_traces(path)


def test_bfloat16_scores_are_kept(workplace: Path) -> None:
    results = run_textbox("ELMER", "toy", config_dict=tiny(epochs=1, bf16_full_eval=True))
    traces = read_traces(Path(results["run"]) / "generation.jsonl")
    scores = torch.tensor([score for trace in traces for score in trace.scores])
    assert ((scores > 0) & (scores <= 1)).all()
