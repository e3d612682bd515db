"""The benches, small: each measures its peer in the same run and prints a ratio."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import torch

from tests.conftest import PUBLISHED, options, tiny
from tests.model.small import small_model
from textbox_elmer.bench.decoder_alone import decoder_alone
from textbox_elmer.bench.exits import THRESHOLDS as CURVE
from textbox_elmer.bench.memory import peak_megabytes
from textbox_elmer.bench.planted_weights import THRESHOLDS, plant, plant_decisions, plant_path
from textbox_elmer.cli import main
from textbox_elmer.model import ElmerConfig, ElmerForConditionalGeneration, compiled

SMALL = ["--layers=2", "--d_model=128", "--vocab_size=300", "--rounds=2", "--out=latency.json"]


def test_latency(workplace: Path, capsys: pytest.CaptureFixture) -> None:
    """Every row of two shapes and batch sizes; planted ends make all ELMER rows write as many tokens as BART's."""
    rows = "--rows=bart,ctranslate2,plain,last,soft,hard,dag"
    assert main(["bench", "latency", *SMALL, rows, "--shapes=squadqg,pc", "--batch_sizes=1,3"]) == 0
    tables = json.loads((workplace / "latency.json").read_text())["tables"]
    assert [(table["shape"], table["batch"]) for table in tables] == [
        ("squadqg", 1),
        ("squadqg", 3),
        ("pc", 1),
        ("pc", 3),
    ]
    printed = capsys.readouterr().out
    for table in tables:
        rows = {(row["name"], row["precision"]): row for row in table["rows"]}
        assert {precision for name, precision in rows if name == "ELMER soft"} == {"float32", "bfloat16"}
        assert {precision for name, precision in rows if name == "CTranslate2 5 beams"} == {"float32", "int8"}
        for (_, precision), row in rows.items():
            peer = precision if ("floor", precision) in rows else "float32"
            assert row["over_floor"] == pytest.approx(row["seconds"] / rows["floor", peer]["seconds"])
            beams = rows["BART 5 beams", peer]["seconds"]
            assert row["faster_than_bart_beams"] == pytest.approx(beams / row["seconds"])
            assert row["ms_per_example"] == pytest.approx(1000 * row["seconds"] / table["batch"])
            assert f"| {row['name']} | {row['precision']} | {row['ms_per_example']:.1f} |" in printed
        quotient = rows["BART 5 beams", "float32"]["seconds"] / rows["ELMER soft", "float32"]["seconds"]
        assert f"- BART 5 beams float32 / ELMER soft float32: {quotient:.2f}" in printed
        for name in ("greedy", "lookahead", "lookahead, soft", "viterbi", "5 beams"):
            assert {precision for row, precision in rows if row == f"ELMER dag {name}"} == {"float32", "bfloat16"}
        quotient = rows["BART 5 beams", "float32"]["seconds"] / rows["ELMER dag lookahead", "float32"]["seconds"]
        assert f"- BART 5 beams float32 / ELMER dag lookahead float32: {quotient:.2f}" in printed
        assert rows["BART greedy", "float32"]["seconds"] > rows["ELMER last", "float32"]["seconds"]
        for name in ("ELMER soft", "ELMER hard", "ELMER hard, saturation", "ELMER hard, classifier, half depth"):
            slow, fast = (rows[f"{one}, decoder alone", "float32"]["seconds"] for one in (name, "ELMER last"))
            assert f"- {name} / ELMER last, decoder alone, float32: {slow / fast:.2f}" in printed


def test_the_decoder_alone_writes_the_same_without_an_encoder() -> None:
    model, ids = small_model(), torch.randint(3, 10, (2, 7))
    whole = model.generate(ids, max_length=9)
    encoder, alone = model.get_encoder(), decoder_alone(model, ids, partial(model.generate, ids, max_length=9))
    runs = []
    encoder.register_forward_hook(lambda *_: runs.append(1))
    assert alone().tolist() == whole.tolist()
    assert not runs
    assert model.get_encoder() is encoder
    model.generate(ids, max_length=9)
    assert runs


def test_bart_is_the_fastest_of_its_caches(workplace: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = ["--rows=bart,static,soft", "--shapes=pc", "--precisions=float32", "--batch_sizes=1"]
    assert main(["bench", "latency", *SMALL, *arguments]) == 0
    (table,) = json.loads((workplace / "latency.json").read_text())["tables"]
    seconds = {row["name"]: row["seconds"] for row in table["rows"]}
    beams = min(seconds["BART 5 beams"], seconds["BART 5 beams, static cache"])
    assert [row["faster_than_bart_beams"] for row in table["rows"]] == pytest.approx(
        [beams / row["seconds"] for row in table["rows"]]
    )
    assert (
        f"- BART 5 beams float32 / ELMER soft float32: {beams / seconds['ELMER soft']:.2f}" in capsys.readouterr().out
    )


def test_compiled_rows(workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """They write the planted texts, as the bench makes sure of, and ELMER counts by its faster way as BART does."""
    monkeypatch.setattr(compiled, "BACKEND", "eager")
    arguments = ["--rows=bart,soft,dag,compiled", "--shapes=pc", "--precisions=float32", "--batch_sizes=1"]
    assert main(["bench", "latency", *SMALL, *arguments]) == 0
    (table,) = json.loads((workplace / "latency.json").read_text())["tables"]
    seconds = {row["name"]: row["seconds"] for row in table["rows"]}
    printed = capsys.readouterr().out
    for name in ("ELMER soft", "ELMER dag lookahead"):
        fastest = min(seconds[name], seconds[f"{name}, compiled"])
        assert f"- BART 5 beams float32 / {name} float32: {seconds['BART 5 beams'] / fastest:.2f}" in printed


def test_training(workplace: Path, capsys: pytest.CaptureFixture) -> None:
    sizes = ["--layers=3", "--d_model=64", "--vocab_size=8000", "--batch_size=8", "--rounds=1"]
    assert main(["bench", "training", *sizes, "--out=training.json"]) == 0
    report = json.loads((workplace / "training.json").read_text())
    rows, graph = report["rows"], report["graph"]
    printed = capsys.readouterr().out
    seconds, megabytes = graph["seconds"], graph["megabytes"]
    assert all(value > 0 for value in seconds.values())
    assert f"{megabytes['dag'] / megabytes['position']:.2f} times the memory" in printed
    for name in ("recursion", "links", "gathered head"):
        share = f"{1000 * seconds[name]:.1f} ms, {seconds[name] / seconds['dag']:.3f} of the step"
        assert f"- {name}, forward and backward: {share}" in printed
    assert [row["name"] for row in rows] == ["fine-tuning, soft exit", "LPLM"]
    for row in rows:
        assert row["gradient_difference"] < 1e-5
        assert f"| {row['ours_megabytes'] / row['plain_megabytes']:.2f} |" in printed
    # At these small sizes the gradients themselves, which both hold, are a larger part than at BART-base sizes.
    assert rows[0]["ours_megabytes"] < 0.6 * rows[0]["plain_megabytes"]


def test_exits(workplace: Path, capsys: pytest.CaptureFixture) -> None:
    """Every threshold of every criterion has a row, and what the verdicts say is in the table."""
    config = tiny(filename="run", epochs=1, exit_mode="hard")
    assert main(["--model=ELMER", "--dataset=toy", *options(config)]) == 0
    capsys.readouterr()
    command = ["bench", "exits", f"--model_path={workplace / 'saved' / 'run'}", "--dataset=toy", "--rounds=1"]
    assert main([*command, "--examples=5", "--out=e.json", "--plot=e.svg"]) == 0
    printed = capsys.readouterr().out
    rows = json.loads((workplace / "e.json").read_text())["rows"]
    assert [row["exit"] for row in rows] == ["last", "soft", *(name for name in CURVE for _ in CURVE[name])]
    assert rows[0]["mean_exit_layer"] == 1
    assert all(0 <= row["mean_exit_layer"] <= 1 for row in rows)
    for name in CURVE:
        quick = [row for row in rows if row["exit"] == name and row["decoder_ms"] <= 0.8 * rows[0]["decoder_ms"]]
        lost = min((rows[0]["rouge-2"] - row["rouge-2"] for row in quick), default=None)
        assert f"- {name}: " + ("no threshold" if lost is None else "at most 0.8 of the last exit's") in printed
        assert lost is None or f" {abs(lost):.2f} ROUGE-2, at" in printed
    drawn = (workplace / "e.svg").read_text()
    assert all(f">{name}<" in drawn for name in ("last", "soft", *CURVE))


def test_approximations(workplace: Path, capsys: pytest.CaptureFixture) -> None:
    """A checkpoint that writes different texts, which the exact way leaves as they are."""
    config = tiny(filename="run", epochs=1, exit_mode="soft", **PUBLISHED)
    assert main(["--model=ELMER", "--dataset=toy", *options(config)]) == 0
    folder = workplace / "saved" / "run" / "checkpoint_best"
    model = ElmerForConditionalGeneration.from_pretrained(folder)
    torch.manual_seed(5)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.normal_(std=0.8)
        model.model.shared.weight[model.config.eos_token_id] *= 4
    model.save_pretrained(folder)
    capsys.readouterr()
    command = [
        "bench",
        "approximations",
        f"--model_path={folder}",
        "--dataset=toy",
        "--out=a.json",
    ]
    assert main(command) == 0
    printed = capsys.readouterr().out
    rows = {row["name"]: row for row in json.loads((workplace / "a.json").read_text())["rows"]}
    assert list(rows) == ["float32, exact", "bfloat16", "int8, ONNX"]
    assert "soft exit, 13 test examples of toy, " in printed
    assert rows["float32, exact"]["same"] == 1
    for name, row in rows.items():
        verdict = "yes" if row["same"] >= 0.995 else "no"
        assert f"| {name} | {row['same']:.1%} | {verdict} | {row['rouge']['rouge-1']:.2f} |" in printed
    assert main([*command, "--exit_mode=hard"]) == 0
    assert "int8" not in capsys.readouterr().out


def test_latency_of_the_export(workplace: Path) -> None:
    """The exported graphs write the planted texts, which the bench itself makes sure of, in rows of their own."""
    arguments = ["--rows=soft,onnx", "--shapes=pc", "--precisions=bfloat16", "--batch_sizes=1,3"]
    assert main(["bench", "latency", *SMALL, *arguments]) == 0
    for table in json.loads((workplace / "latency.json").read_text())["tables"]:
        exported = [row["precision"] for row in table["rows"] if row["name"] == "ELMER soft, ONNX"]
        assert exported == ["float32", "int8"]
        assert not [row for row in table["rows"] if row["name"] == "ELMER last, ONNX"]


PLANTED_SIZES = {"d_model": 128, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "vocab_size": 400}


@pytest.mark.parametrize("mode", ["soft", "hard", "last"])
def test_planted_texts_end_and_leave_where_they_should(mode: str) -> None:
    config = ElmerConfig(encoder_layers=1, decoder_layers=4, canvas_length=40, **PLANTED_SIZES)
    torch.manual_seed(0)
    model = ElmerForConditionalGeneration(config).eval()
    plant(model, 21, 40)
    output = model.generate(torch.randint(5, 400, (3, 30)), exit_mode=mode, return_dict_in_generate=True)
    assert output.sequences.shape == (3, 21)
    assert (output.sequences[:, -1] == config.eos_token_id).all()
    if mode == "hard":
        expected = [place % 4 for place in range(20)]
        assert output.exit_layers[:, :20].tolist() == [expected] * 3


@pytest.mark.parametrize("exits", [range(4), (1, 2)])
@pytest.mark.parametrize("criterion", THRESHOLDS)
def test_planted_decisions_are_taken_where_they_should(criterion: str, exits: Sequence[int]) -> None:
    config = ElmerConfig(
        encoder_layers=1, decoder_layers=4, canvas_length=40, exit_criterion="classifier", **PLANTED_SIZES
    )
    torch.manual_seed(0)
    model = ElmerForConditionalGeneration(config).eval()
    plant_decisions(model, 21, 40, exits)
    options = {"exit_mode": "hard", "exit_criterion": criterion, "exit_threshold": THRESHOLDS[criterion]}
    ids = torch.randint(5, 400, (3, 30))
    output = model.generate(ids, return_dict_in_generate=True, collapse_repeats=False, **options)
    assert output.sequences.shape == (3, 21)
    assert (output.sequences[:, -1] == config.eos_token_id).all()
    expected = [exits[place % len(exits)] for place in range(20)]
    assert output.exit_layers.tolist() == [[*expected, 1]] * 3


@pytest.mark.parametrize("decoding", ["greedy", "lookahead", "viterbi", "beam"])
def test_planted_paths_lead_over_as_many_vertices_as_they_should(decoding: str) -> None:
    sizes = {"d_model": 128, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "vocab_size": 400}
    graph = {"alignment": "dag", "canvas_input": "source", "copy_source": True}
    torch.manual_seed(0)
    model = ElmerForConditionalGeneration(ElmerConfig(encoder_layers=1, decoder_layers=2, **sizes, **graph)).eval()
    plant_path(model, 11, 44)
    ids = torch.randint(5, 400, (3, 30))
    options = {"max_length": 11, "decoding": decoding, "collapse_repeats": False, "return_dict_in_generate": True}
    output = model.generate(ids, **options)
    assert output.sequences.shape == (3, 11)
    assert (output.sequences[:, -1] == model.config.eos_token_id).all()
    assert output.vertices.tolist() == [[step * 43 // 11 for step in range(1, 12)]] * 3


def test_memory_is_that_of_the_call() -> None:
    held = []
    small = peak_megabytes(lambda: None, torch.device("cpu"))
    large = peak_megabytes(lambda: held.append(torch.ones(100, 2**18).sum()), torch.device("cpu"))
    assert small < 30
    assert 90 < large < 160


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "`textbox-elmer bench` needs one of latency, training, generate, serve, approximations, exits: "),
        (["haste"], "needs one of latency"),
        (["latncy"], "has no command 'latncy': did you mean latency?"),
        (["traning"], "has no command 'traning': did you mean training?"),
        (["training", "--shapes=xsum"], "`textbox-elmer bench training` has no option --shapes"),
        (["latency", "--rounds=0"], "--rounds must be a whole number above 0, not '0'"),
        (["latency", "--batch_sizes=1,many"], "--batch_sizes must be whole numbers above 0, or best, not 'many'"),
        (["training", "--layers=2.5"], "--layers must be a whole number above 0, not '2.5'"),
        (["training", "--device=tpu"], "--device must be cpu, or cuda where there is one, not 'tpu'"),
        (["approximations"], "needs --model_path, e.g. textbox-elmer bench approximations --model_path="),
        (
            ["approximations", "--model_path=x", "--exit_mode=first"],
            "The option --exit_mode is one of soft, hard, last, not 'first'",
        ),
        (["approximations", "--model_path=x", "--dataset=toy"], "'x'"),
        (["latency", "--round=1"], "has no option --round: did you mean --rounds?"),
        (["latency", "--shapes=xsum,dialog"], "The option --shapes knows xsum, squadqg, pc, cnndm, not 'dialog'"),
    ],
)
def test_bench_mistakes(workplace: Path, capsys: pytest.CaptureFixture, arguments: list[str], message: str) -> None:
    assert main(["bench", *arguments]) == 2
    assert message in capsys.readouterr().err
