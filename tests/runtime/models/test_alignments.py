"""A checkpoint asked for another alignment than it was trained with: what may be learnt, and what may not be lost."""

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tests.conftest import FIXTURES, TINY_BART, options, save_small_elmer, tiny
from textbox_elmer.cli import main

GRAPH = ["--alignment=dag", "--canvas_scale=2"]
TOKENIZER = f"--tokenizer_path={FIXTURES / 'textbox' / 'tokenizer'}"


def run(folder: Path, *typed: str, **changes: Any) -> int:
    """Run ELMER on `toy` from a checkpoint, which brings its own sizes."""
    brought = ("vocab_size", "d_model", *TINY_BART)
    config = {key: value for key, value in tiny(epochs=1, **changes).items() if key not in brought}
    return main(["--model=ELMER", "--dataset=toy", f"--model_path={folder}", *options(config), *typed])


@pytest.mark.parametrize("copies", [False, True])
def test_a_bart_learns_a_graph_and_the_log_says_what_is_new(
    workplace: Path, bart_folder: Path, capsys: pytest.CaptureFixture, copies: bool
) -> None:
    typed = [*GRAPH, TOKENIZER, f"--copy_source={copies}", "--filename=run"]
    assert run(bart_folder, *typed, learning_rate=1e-9) == 0
    best = workplace / "saved" / "run" / "checkpoint_best"
    made, given = load_file(best / "model.safetensors"), load_file(bart_folder / "model.safetensors")
    new = {name: weight for name, weight in made.items() if name.startswith(("links.", "pointer."))}
    assert {name.split(".")[0] for name in new} == ({"links", "pointer"} if copies else {"links"})
    rows = given["model.shared.weight"]
    assert (made["model.shared.weight"][: len(rows)] - rows).abs().max() < 1e-6
    logged = capsys.readouterr().err.splitlines()
    (line,) = [line for line in logged if "New beside the checkpoint's weights, and to be learnt" in line]
    assert all(name in line for name in new)
    assert f"({sum(weight.numel() for weight in new.values()):,} numbers)" in line
    assert json.loads((best / "config.json").read_text())["alignment"] == "dag"
    # What has learnt it needs no training, and says nothing of new weights.
    assert run(best, "--filename=again", do_train=False) == 0
    assert "New beside" not in capsys.readouterr().err


ELMER_OF: dict[str, dict[str, Any]] = {
    "plain": {},
    "graph": {"alignment": "dag", "canvas_scale": 2, "copy_source": True, "canvas_input": "source"},
    "pre-norm": {"normalize_before": True},
}
MISTAKES = [
    # the checkpoint, what is typed, whether it trains, and what must be said
    ("plain", GRAPH, False, "alignment=position and has learnt nothing yet for alignment=dag: train it, or leave al"),
    ("plain", ["--copy_source=True"], False, "copy_source=False and has learnt nothing yet for copy_source=True"),
    ("plain", ["--canvas_input=source"], False, "has learnt nothing yet for canvas_input=source: train it, or leave"),
    ("graph", ["--alignment=position"], True, "alignment=dag, and alignment=position would throw away what it learnt"),
    ("graph", ["--alignment=position"], False, "alignment=dag, and alignment=position would throw away what it learn"),
    ("graph", ["--alignment=ctc"], True, "alignment=dag, and alignment=ctc would throw away what it learnt: leave al"),
    ("graph", ["--copy_source=False"], True, "copy_source=False would throw away what it learnt: leave copy_source ou"),
    ("plain", ["--normalize_before=True"], True, "normalize_before=False, not True: leave normalize_before out."),
    ("pre-norm", ["--normalize_before=False"], True, "normalize_before=True, not False: leave normalize_before out."),
    ("plain", ["--alignment=dag", "--canvas_scale=8"], True, "a canvas of 80 positions, but the model has 64"),
    ("graph", ["--label_smoothing=0.1"], True, "for alignment=position without copy_source alone: give --label_smo"),
]


@pytest.mark.parametrize(("kind", "typed", "trains", "sentence"), MISTAKES)
def test_mistakes(
    workplace: Path, capsys: pytest.CaptureFixture, kind: str, typed: list[str], trains: bool, sentence: str
) -> None:
    save_small_elmer(workplace / "model", **ELMER_OF[kind])
    capsys.readouterr()
    assert run(Path("model"), *typed, do_train=trains) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Error: ")]
    assert sentence in line
    assert not (workplace / "saved").exists()
