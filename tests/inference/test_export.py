"""The export to ONNX: the same ids as PyTorch's, whole folders or none, and a sentence for every mistake."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from tests.conftest import FIXTURES, TINY_BART, write_toy
from textbox_elmer import ElmerConfig, ElmerForConditionalGeneration
from textbox_elmer.cli import main
from textbox_elmer.errors import UserError
from textbox_elmer.files import held
from textbox_elmer.inference.export import OnnxElmer, exporting, requirements
from textbox_elmer.inference.export.check import Comparison, Sources, compare, made_up_sources
from textbox_elmer.inference.export.texts import walk
from textbox_elmer.model import dag

POSITIONS = 40
LARGE = 0.3  # deviation of the weights, with which tiny models write a different text for every source
ENDS = 2.0  # and so much of a liking for their end that some texts reach it

DECIDED = 4.0  # times as large, transitions tell vertices apart as well as words do


def save_checkpoint(folder: Path, exit_mode: str, **fields: Any) -> ElmerForConditionalGeneration:
    """Save a tiny random model and a tokenizer; nothing that decides its texts is left at zero."""
    tokenizer = AutoTokenizer.from_pretrained(FIXTURES / "textbox" / "tokenizer")
    config = ElmerConfig(
        vocab_size=len(tokenizer),
        d_model=16,
        max_position_embeddings=POSITIONS,
        mask_token_id=4,
        canvas_length=12,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        init_std=LARGE,
        exit_mode=exit_mode,
        **TINY_BART,
        **fields,
    )
    torch.manual_seed(0)
    model = ElmerForConditionalGeneration(config).eval()
    model.concat_head.weight.data.normal_(std=LARGE)
    model.final_logits_bias.normal_()
    model.final_logits_bias[0, model.config.eos_token_id] += ENDS
    if model.links is not None:
        for weight in model.links.parameters():
            weight.data.mul_(DECIDED)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


@pytest.fixture(scope="module")
def soft(tmp_path_factory: pytest.TempPathFactory) -> tuple[ElmerForConditionalGeneration, Path]:
    """A checkpoint of soft exit, and in its folder `onnx` an export of canvases 5 and 12, both with int8."""
    folder = tmp_path_factory.mktemp("soft")
    model = save_checkpoint(folder, "soft")
    assert main(["export", f"--model_path={folder}", "--format=onnx", "--canvas=5,12", "--int8"]) == 0
    return model, folder


@pytest.fixture(scope="module")
def last(tmp_path_factory: pytest.TempPathFactory) -> tuple[ElmerForConditionalGeneration, Path]:
    """A checkpoint of plain parallel decoding and its export."""
    folder = tmp_path_factory.mktemp("last")
    model = save_checkpoint(folder, "last")
    assert main(["export", f"--model_path={folder}"]) == 0
    return model, folder


FROM_SOURCE = {"canvas_input": "source", "copy_source": True, "normalize_before": True}
KINDS: dict[str, dict[str, Any]] = {
    "dag": {"exit_mode": "soft", "alignment": "dag", "canvas_scale": 2.5, **FROM_SOURCE},
    "plain dag": {"exit_mode": "last", "alignment": "dag", "canvas_scale": 3, "canvas_input": "source"},
    "ctc": {"exit_mode": "soft", "alignment": "ctc", "canvas_scale": 2},
    "copying": {"exit_mode": "soft", **FROM_SOURCE},
}


@pytest.fixture(scope="module", params=KINDS)
def kind(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ElmerForConditionalGeneration, Path]:
    """A checkpoint that writes in another way than the paper's, and its export for 5 tokens."""
    folder = tmp_path_factory.mktemp("kind")
    model = save_checkpoint(folder, **KINDS[request.param])
    assert (
        main(["export", f"--model_path={folder}", "--canvas=5", *(["--int8"] if request.param == "dag" else [])]) == 0
    )
    return model, folder / "onnx"


def batch(rows: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return sources `[rows, length]` padded to the right, every row otherwise long, and their mask."""
    ids = torch.randint(5, 300, (rows, length), generator=torch.Generator().manual_seed(rows * length))
    mask = (torch.arange(length) < torch.arange(length, length - rows, -1).clamp(min=1)[:, None]).long()
    return ids.masked_fill(mask == 0, 1), mask


@pytest.mark.parametrize(("mode", "canvas"), [("soft", 5), ("soft", 12), ("last", 12)])
@pytest.mark.parametrize("collapse", [True, False])
def test_the_graph_writes_the_models_ids(
    mode: str, canvas: int, collapse: bool, request: pytest.FixtureRequest
) -> None:
    model, folder = request.getfixturevalue(mode)
    exported = OnnxElmer(folder / "onnx", canvas)
    for rows, length in ((1, 1), (1, 7), (4, 2), (7, 16), (3, POSITIONS)):
        ids, mask = batch(rows, length)
        wanted = model.generate(ids, mask, max_length=canvas, collapse_repeats=collapse)
        assert torch.equal(exported.generate(ids, mask, collapse_repeats=collapse), wanted)
        # Without a mask the padding is hidden, and with one whatever it hides.
        assert torch.equal(exported.generate(ids, collapse_repeats=collapse), wanted)
        assert torch.equal(exported.generate(ids.masked_fill(mask == 0, 9), mask, collapse), wanted)


def test_the_texts_differ_and_soft_exit_counts(soft: tuple[ElmerForConditionalGeneration, Path]) -> None:
    model, folder = soft
    ids, mask = batch(16, 30)
    texts = OnnxElmer(folder / "onnx").generate(ids, mask)
    assert len(texts.unique(dim=0)) == 16
    assert 0 < int((texts == model.config.eos_token_id).any(-1).sum()) < 16
    plain = model.generate(ids, mask, exit_mode="last")
    assert plain.shape != texts.shape or not torch.equal(plain, texts)


def test_a_graph_keeps_batch_and_length_free(soft: tuple[ElmerForConditionalGeneration, Path]) -> None:
    graph = onnx.load(soft[1] / "onnx" / "elmer-12.onnx").graph
    shapes = {
        value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    source = ["batch", "source_length"]
    assert shapes == {"input_ids": source, "attention_mask": source, "tokens": ["batch", 12]}


def decodings(model: ElmerForConditionalGeneration) -> list[str | None]:
    return [None, "greedy", "lookahead", "viterbi"] if model.config.alignment == "dag" else [None]


@pytest.mark.parametrize("collapse", [True, False])
def test_every_kind_of_model_writes_its_ids(kind: tuple[ElmerForConditionalGeneration, Path], collapse: bool) -> None:
    model, folder = kind
    exported = OnnxElmer(folder, 5)
    for rows, length in ((1, 1), (4, 2), (7, 16), (3, POSITIONS)):
        ids, mask = batch(rows, length)
        for decoding in decodings(model):
            wanted = model.generate(ids, mask, max_length=5, decoding=decoding, collapse_repeats=collapse)
            assert torch.equal(exported.generate(ids, mask, collapse, decoding), wanted)
            assert torch.equal(exported.generate(ids.masked_fill(mask == 0, 9), mask, collapse, decoding), wanted)


def test_every_kind_of_model_is_checked(kind: tuple[ElmerForConditionalGeneration, Path]) -> None:
    model, folder = kind
    facts = json.loads((folder / "export.json").read_text())
    check = facts["checks"]["elmer-5.onnx"]
    assert check["same"] == check["examples"] == 200
    assert check["different"] > 20
    assert set(facts["decodings"]) == {*decodings(model)} - {None}


def test_a_graphs_outputs_are_the_models(kind: tuple[ElmerForConditionalGeneration, Path]) -> None:
    model, folder = kind
    session = onnxruntime.InferenceSession(folder / "elmer-5.onnx", providers=["CPUExecutionProvider"])
    ids, mask = batch(6, 9)
    tokens, *graph = session.run(None, {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})
    positions = model.config.canvas_positions(5)
    assert tokens.shape == (6, positions)
    if model.config.alignment != "dag":
        assert not graph
        return
    canvas = torch.full((6, positions), model.config.mask_token_id)
    canvas[:, 0] = model.config.bos_token_id
    with torch.no_grad():
        logits = model(ids, mask, decoder_input_ids=canvas).logits
    log_probs, transitions = graph
    best = logits.log_softmax(-1).max(-1)
    assert (tokens == best.indices.numpy()).all()
    np.testing.assert_allclose(log_probs, best.values.numpy(), atol=1e-4)
    assert transitions.shape == (6, positions, positions)
    np.testing.assert_allclose(np.exp(transitions[:, :-1]).sum(-1), 1, atol=1e-4)
    assert (transitions[:, np.tri(positions, dtype=bool)] == -np.inf).all()


def test_int8_walks_too(tmp_path_factory: pytest.TempPathFactory, kind: tuple[Any, Path]) -> None:
    model, folder = kind
    if not (folder / "elmer-5-int8.onnx").is_file():
        pytest.skip("one kind is enough")
    graph = onnx.load(folder / "elmer-5-int8.onnx").graph
    size = [model.config.vocab_size, model.config.d_model]
    vocabulary = {tensor.name for tensor in graph.initializer if list(tensor.dims) == size}
    readers = {node.op_type for node in graph.node if vocabulary.intersection(node.input)}
    assert readers == {"Gather"}, "a vocabulary made float32 at each run would cost more than int8 saves"
    exported, (ids, mask) = OnnxElmer(folder, 5, int8=True), batch(5, 9)
    texts = exported.generate(ids, mask, decoding="viterbi")
    assert texts.shape[0] == 5
    assert texts.shape[1] <= 5
    assert not torch.isin(texts, torch.tensor([model.config.bos_token_id, model.config.mask_token_id])).any()


def test_an_export_of_before_there_were_graphs(
    soft: tuple[ElmerForConditionalGeneration, Path], tmp_path: Path
) -> None:
    model, folder = soft
    shutil.copytree(folder / "onnx", tmp_path / "old")
    config = json.loads((tmp_path / "old" / "config.json").read_text())
    for field in ("alignment", "canvas_scale", "canvas_input", "copy_source", "normalize_before"):
        del config[field]
    (tmp_path / "old" / "config.json").write_text(json.dumps(config))
    ids, mask = batch(7, 16)
    assert torch.equal(OnnxElmer(tmp_path / "old", 12).generate(ids, mask), model.generate(ids, mask))


class ByOneDecodingOtherwise:
    """An exported graph that writes one text otherwise, and only by Viterbi's walk."""

    canvas = 5

    def __init__(self, model: ElmerForConditionalGeneration) -> None:
        self.model = model

    def generate(self, ids: torch.Tensor, mask: torch.Tensor, decoding: str | None) -> torch.Tensor:
        texts = self.model.generate(ids, mask, max_length=self.canvas, decoding=decoding)
        if decoding == "viterbi":
            texts[1, 0] += 1
        return texts


def test_all_walks_are_compared(tmp_path: Path) -> None:
    model = save_checkpoint(tmp_path, **KINDS["dag"])
    rows = [[7, 8, 9], [10, 11], [12]]
    found = compare(model, ByOneDecodingOtherwise(model), Sources(rows, "three"))
    assert (found.same, found.examples) == (2, 3)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), canvas=st.integers(1, 20), missing=st.sampled_from([0.0, 0.3, 0.9]))
def test_numpy_walks_as_torch_does(seed: int, canvas: int, missing: float) -> None:
    draw = torch.Generator().manual_seed(seed)
    log_probs = -torch.rand(4, canvas, generator=draw) * 5
    transitions = torch.randn(4, canvas, canvas, generator=draw) * 2 - 1
    transitions[torch.rand(4, canvas, canvas, generator=draw) < missing] = -torch.inf
    transitions[torch.rand(4, canvas, generator=draw) < missing / 2] = -torch.inf
    log_probs[torch.rand(4, canvas, generator=draw) < missing / 4] = -torch.inf
    for decoding in dag.DECODINGS:
        wanted = dag.walk(log_probs, transitions, torch.full((4,), canvas), decoding)
        found = walk(log_probs.numpy(), transitions.numpy(), decoding)
        np.testing.assert_array_equal(found, wanted.numpy(), err_msg=decoding)


def test_int8_multiplies_by_int8_weights(soft: tuple[ElmerForConditionalGeneration, Path]) -> None:
    model, folder = soft
    graph = onnx.load(folder / "onnx" / "elmer-12-int8.onnx").graph
    weights = {tensor.name for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.INT8}
    products = [node.input[1] for node in graph.node if node.op_type == "MatMulInteger"]
    # Encoder layers have 6 products with weights, decoder layers 10, each exit one, and concat_head one.
    assert len(products) == 2 * 6 + 2 * 10 + 2 + 1
    assert set(products) <= weights
    ids, mask = batch(5, 9)
    texts = OnnxElmer(folder / "onnx", 12, int8=True).generate(ids, mask)
    assert texts.shape[0] == 5
    assert texts.max() < model.config.vocab_size


def test_what_the_folder_holds(soft: tuple[ElmerForConditionalGeneration, Path]) -> None:
    _, folder = soft
    graphs = {f"elmer-{name}.onnx" for name in ("5", "5-int8", "12", "12-int8")}
    names = {path.name for path in (folder / "onnx").iterdir()}
    assert graphs | {"config.json", "tokenizer.json", "export.json"} <= names
    facts = json.loads((folder / "onnx" / "export.json").read_text())
    assert set(facts["checks"]) == graphs
    assert facts["checks"]["elmer-12.onnx"]["same"] == 200
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    AutoTokenizer.from_pretrained(folder / "onnx")


def test_the_check_reads_a_dataset(
    last: tuple[ElmerForConditionalGeneration, Path], workplace: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["export", f"--model_path={last[1]}", "--out=exported", "--dataset=toy", "--canvas=6"]) == 0
    assert "13 of 13 texts are the same (test examples of toy;" in capsys.readouterr().out
    assert Path("exported/elmer-6.onnx").is_file()


def test_made_up_sources_are_said_to_be(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    save_checkpoint(workplace / "model", "soft")
    monkeypatch.setattr(exporting, "_export_canvas", lambda *_: {})
    assert main(["export", "--model_path=model"]) == 0
    assert "checking on made-up sources" in capsys.readouterr().out
    write_toy(workplace / "dataset" / "apidoc", {"test": 5})
    chosen = []
    monkeypatch.setattr(exporting, "_export_canvas", lambda *arguments: chosen.append(arguments[-1]) or {})
    assert main(["export", "--model_path=model"]) == 0
    assert chosen[0].origin == "test examples of apidoc"
    assert len(chosen[0].rows) == 5


def test_made_up_sources_fit_any_model() -> None:
    sources = made_up_sources(vocabulary=9, positions=3)
    assert len(sources.rows) == 200
    assert {len(row) for row in sources.rows} == {1, 2, 3}
    assert max(max(row) for row in sources.rows) < 9


@pytest.fixture
def pretended(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint in `model` whose graphs are only pretended to be written and found to be right."""
    save_checkpoint(workplace / "model", "soft")
    monkeypatch.setattr(exporting, "write_graph", lambda model, canvas, path: path.write_text("graph"))
    monkeypatch.setattr(exporting, "OnnxElmer", lambda *_, **__: None)
    monkeypatch.setattr(exporting, "compare", lambda *_: Comparison(200, 200, 9))
    return workplace


EXPORT = ["export", "--model_path=model", "--out=out"]


def test_an_export_replaces_an_earlier_one_alone(pretended: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(EXPORT) == main([*EXPORT, "--canvas=7,8"]) == 0
    assert sorted(path.name for path in Path("out").glob("*.onnx")) == ["elmer-7.onnx", "elmer-8.onnx"]
    Path("out/mine.txt").write_text("")
    assert main(EXPORT) == 2
    assert "--out='out' holds 'mine.txt', which no export has written" in capsys.readouterr().err
    assert Path("out/elmer-7.onnx").is_file()


FOREIGN: dict[str, Callable[[Path], object]] = {
    "thesis.txt": lambda path: path.write_text("years of work"),
    "model.safetensors": lambda path: path.write_text("days of training"),
    "elmer-1.onnx": lambda path: path.mkdir(),
    "vocab.txt": lambda path: path.symlink_to("../thesis.txt"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_forged_list_deletes_nothing(pretended: Path, capsys: pytest.CaptureFixture, name: str) -> None:
    """Whatever export.json lists: only files that an export writes are replaced."""
    assert main(EXPORT) == 0
    FOREIGN[name](Path("out") / name)
    Path("out/export.json").write_text(json.dumps({"files": [*os.listdir("out"), ".", "..", "../dataset", 3]}))
    before = sorted(os.listdir("out"))
    assert main(EXPORT) == 2
    assert f"--out='out' holds {name!r}, which no export has written" in capsys.readouterr().err
    assert sorted(os.listdir("out")) == before


@pytest.mark.parametrize("content", ['{"files": 1}', "[" * 100_000, "{", '{"files": [[]]}'])
def test_a_broken_list_is_none(pretended: Path, capsys: pytest.CaptureFixture, content: str) -> None:
    write("out/export.json", content.encode())(pretended)
    assert main(EXPORT) == 2
    assert "--out='out' holds 'export.json', which no export has written" in capsys.readouterr().err


def test_two_exports_to_one_folder(pretended: Path, capsys: pytest.CaptureFixture) -> None:
    with held(Path("out"), ""):
        assert main(EXPORT) == 2
    assert "Another process is at work on 'out': wait until it has ended, or give another --out." in (
        capsys.readouterr().err
    )
    assert main(EXPORT) == 0


@pytest.mark.parametrize(("fault", "status"), [("other texts", 2), ("interrupted", 130)])
def test_a_failed_export_leaves_the_earlier_one(
    fault: str, status: int, pretended: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert main(EXPORT) == 0

    def fail(*_: object) -> Comparison:
        if fault == "interrupted":
            raise KeyboardInterrupt
        return Comparison(197, 200, 9)

    monkeypatch.setattr(exporting, "compare", fail)
    assert main([*EXPORT, "--canvas=7"]) == status
    said = "elmer-7.onnx writes 3 of 200 texts otherwise than PyTorch does" in capsys.readouterr().err
    assert said == (fault == "other texts")
    assert sorted(path.name for path in pretended.iterdir()) == ["dataset", "model", "out"]
    assert [path.name for path in Path("out").glob("*.onnx")] == ["elmer-12.onnx"]


def change_config(**fields: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "model" / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return change


def write(path: str, content: bytes = b"") -> Callable[[Path], None]:
    def put(folder: Path) -> None:
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(content)

    return put


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "model" / name).unlink()


def nothing(folder: Path) -> None:
    pass


MODEL = "--model_path=model"
MISTAKES: list[tuple[str, Callable[[Path], None], list[str], str]] = [
    # what is wrong, how it comes about, what is typed, what must be said
    (
        "no checkpoint",
        nothing,
        ["--format=onnx"],
        "needs --model_path, e.g. textbox-elmer export --model",
    ),
    ("no folder", nothing, ["--model_path=nowhere"], "--model_path='nowhere' is no folder with a checkpoint"),
    ("no configuration", remove("config.json"), [MODEL], "--model_path='model' is no folder with a checkpoint"),
    ("broken configuration", write("model/config.json", b"[1"), [MODEL], "damaged or no model's configuration"),
    ("no weights", remove("model.safetensors"), [MODEL], "The weights in 'model' cannot be read"),
    ("no tokenizer", remove("tokenizer.json"), [MODEL], "No tokenizer can be read from 'model'"),
    ("another vocabulary", change_config(vocab_size=9), [MODEL], "has misfitting"),
    ("BART", change_config(model_type="bart"), [MODEL], "'model' is a BART checkpoint, which writes token by token"),
    ("T5", change_config(model_type="t5"), [MODEL], "holds a model of type 't5': only ELMER is exported"),
    ("hard exit", change_config(exit_mode="hard"), [MODEL], "give --exit_mode=last or --exit_mode=soft"),
    ("hard exit asked for", nothing, [MODEL, "--exit_mode=hard"], "--exit_mode must be soft or last, not 'hard'"),
    ("unknown format", nothing, [MODEL, "--format=tflite"], "--format must be onnx, not 'tflite'"),
    ("long canvas", nothing, [MODEL, "--canvas=12,64"], "--canvas=64 is more than the model's 40 positions"),
    (
        "long canvas of several positions a token",
        change_config(alignment="ctc", canvas_scale=2.5),
        [MODEL, "--canvas=12,17"],
        "--canvas=17 is more than the model's 40 positions (max_position_embeddings), of which each token takes 2.5: "
        "give --canvas=16 or less",
    ),
    ("no number", nothing, [MODEL, "--canvas=long"], "--canvas must be whole numbers of at least 1"),
    ("no canvas", nothing, [MODEL, "--canvas=0"], "--canvas must be whole numbers of at least 1"),
    ("unknown option", nothing, [MODEL, "--canvass=64"], "has no option --canvass: did you mean --canvas?"),
    ("no truth value", nothing, [MODEL, "--int8=maybe"], "--int8 must be True or False, not 'maybe'"),
    ("stray word", nothing, [MODEL, "model"], "'model' is no option"),
    ("unknown dataset", nothing, [MODEL, "--dataset=toyy"], "There is no dataset 'toyy'"),
    ("a file in the way", write("out"), [MODEL, "--out=out"], "--out='out' is not a folder"),
    ("others' files in the way", write("out/a.txt"), [MODEL, "--out=out"], "--out='out' holds 'a.txt'"),
    (
        "a file for a parent",
        write("file"),
        [MODEL, "--out=file/out"],
        "'file/out' cannot be written (a file is in the way): give another --out",
    ),
]


@pytest.mark.parametrize(
    ("spoil", "typed", "sentence"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES]
)
def test_mistakes(
    workplace: Path,
    capsys: pytest.CaptureFixture,
    spoil: Callable[[Path], None],
    typed: list[str],
    sentence: str,
) -> None:
    save_checkpoint(workplace / "model", "soft")
    spoil(workplace)
    before = sorted(workplace.rglob("*"))
    assert main(["export", *typed]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("Error: ")
    assert sentence in line
    assert sorted(workplace.rglob("*")) == before


def test_missing_packages_are_named(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(requirements, "find_spec", lambda name: None if name == "onnxruntime" else name)
    assert main(["export", "--model_path=model"]) == 2
    assert capsys.readouterr().err == (
        "Error: An ONNX export needs onnxruntime, which is not installed: pip install onnxruntime.\n"
    )


def test_a_bart_that_is_an_elmer(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ELMER's authors published theirs in BART's format."""
    save_checkpoint(workplace / "model", "soft")
    change_config(model_type="bart")(workplace)
    exported = []
    monkeypatch.setattr(exporting, "_export_canvas", lambda model, *_: exported.append(model.config.exit_mode) or {})
    assert main(["export", "--model_path=model", "--exit_mode=last"]) == 0
    assert exported == ["last"]


def test_what_an_export_lacks_is_named(soft: tuple[ElmerForConditionalGeneration, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no graph 'elmer-9\.onnx' \(there: elmer-12-int8\.onnx, "):
        OnnxElmer(soft[1] / "onnx", 9)
    with pytest.raises(UserError, match="holds no export"):
        OnnxElmer(tmp_path)
    with pytest.raises(ValueError, match="41 positions asked for, but the model has 40"):
        OnnxElmer(soft[1] / "onnx", 5).generate(torch.full((1, POSITIONS + 1), 7))


def test_decodings_that_mean_nothing_are_named(
    soft: tuple[ElmerForConditionalGeneration, Path], kind: tuple[ElmerForConditionalGeneration, Path]
) -> None:
    ids, mask = batch(1, 3)
    with pytest.raises(ValueError, match="decoding is for models with alignment=dag"):
        OnnxElmer(soft[1] / "onnx", 5).generate(ids, mask, decoding="viterbi")
    if kind[0].config.alignment == "dag":
        with pytest.raises(ValueError, match="decoding=beam is not exported"):
            OnnxElmer(kind[1], 5).generate(ids, mask, decoding="beam")
        with pytest.raises(ValueError, match="decoding is one of greedy, lookahead"):
            OnnxElmer(kind[1], 5).generate(ids, mask, decoding="sampling")
