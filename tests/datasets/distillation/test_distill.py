"""`data distill`: whose texts the training targets are, what stays as it was, and what a kill costs."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, BartForConditionalGeneration

from tests.conftest import options, save_small_elmer, tiny, work_in_copy, write_toy
from textbox_elmer import ElmerForConditionalGeneration
from textbox_elmer.cli import main
from textbox_elmer.datasets.distillation import distill
from textbox_elmer.datasets.distillation.distill import without_repeats
from textbox_elmer.files import held
from textbox_elmer.runtime.config import resolve_config
from textbox_elmer.runtime.data import load_split

SIZES = {"train": 80, "valid": 10, "test": 13}
CLASSES = {"BART": BartForConditionalGeneration, "ELMER": ElmerForConditionalGeneration}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place with the dataset `toy` and two runs on it, of a BART and of an ELMER that have learnt a little."""
    place = tmp_path_factory.mktemp("runs")
    write_toy(place / "dataset" / "toy", SIZES)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for model in CLASSES:
            settings = options(tiny(model, epochs=12, filename=model, do_test=False))
            assert main([f"--model={model}", "--dataset=toy", *settings]) == 0
    return place


@pytest.fixture
def place(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a copy of it all."""
    return work_in_copy(runs, tmp_path, monkeypatch)


def command(*more: str, model: str = "BART", name: str = "new") -> list[str]:
    return ["distill", "toy", f"--model_path=saved/{model}", "--batch_size=8", *more, name]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "distill.json"}


def rows(model: str, folder: Path, **generation: Any) -> list[list[int]]:
    """What a checkpoint writes for each source of toy's train split, one at a time, by its library alone."""
    tokenizer, teacher = AutoTokenizer.from_pretrained(folder), CLASSES[model].from_pretrained(folder).eval()
    sources = Path("dataset/toy/train.src").read_text().splitlines()
    encoded = [torch.tensor([tokenizer(text)["input_ids"]]) for text in sources]
    return [teacher.generate(ids, attention_mask=torch.ones_like(ids), **generation)[0].tolist() for ids in encoded]


def texts_of(found: list[list[int]], folder: Path) -> list[str]:
    tokenizer, texts = AutoTokenizer.from_pretrained(folder), []
    for row in found:
        words = re.findall(r"\s*\S+", tokenizer.decode(row, skip_special_tokens=True))
        kept = [word for i, word in enumerate(words) if i == 0 or word.strip() != words[i - 1].strip()]
        texts.append("".join(kept).strip())
    return texts


@pytest.mark.parametrize(("model", "beams"), [("BART", 1), ("BART", 3), ("ELMER", 1), ("ELMER", 3)])
@pytest.mark.parametrize(("path", "size"), [("saved/{}", 64), ("saved/{}/checkpoint_best", 1)])
def test_the_targets_are_the_teachers_texts(
    place: Path, data: Callable[..., str], model: str, beams: int, path: str, size: int
) -> None:
    folder = place / "saved" / model / "checkpoint_best"
    searching = {"num_beams": beams, "do_sample": False}
    if model == "ELMER":
        searching = {} if beams == 1 else {"num_beams": beams, "decoding": "beam"}
    expected = texts_of(rows(model, folder, max_length=10, **searching), folder)
    assert all(expected)
    assert len(set(expected)) > 40
    printed = data(
        "distill", "toy", f"--model_path={path.format(model)}", f"--num_beams={beams}", f"--batch_size={size}", "new"
    )
    references = Path("dataset/toy/train.tgt").read_text().splitlines()
    equal = sum(text == reference for text, reference in zip(expected, references, strict=True))
    made, old = files(place / "dataset" / "new"), files(place / "dataset" / "toy")
    assert made.pop("train.tgt").decode().splitlines() == expected != references
    assert made == {name: content for name, content in old.items() if name != "train.tgt"}
    record = json.loads((place / "dataset" / "new" / "distill.json").read_text())
    assert record["dataset"] == "toy"
    assert (record["model"], record["teacher"]) == (model, f"saved/{model}/checkpoint_best")
    assert (record["num_beams"], record["texts"], record["equal_to_reference"]) == (beams, 80, equal)
    assert (record["empty"], record["versions"]["torch"]) == (0, torch.__version__)
    assert record["seconds"] > 0
    assert f"80 texts by {model}" in printed
    assert f"{equal / 80:.1%} equal to the reference, 0 empty," in printed
    assert sorted(os.listdir(place / "dataset")) == ["new", "toy"]


@pytest.mark.parametrize("model", ["BART", "ELMER"])
def test_any_checkpoint_teaches_under_the_datasets_settings(place: Path, data: Callable[..., str], model: str) -> None:
    """Of a BART's checkpoint `--model` must say that it is no Chinese-BART; texts cut by the longest length count."""
    longest = 7 if model == "BART" else 5
    folder = (place / "saved" / model / "checkpoint_best").rename(place / "bare")
    (place / "properties" / "dataset").mkdir(parents=True)
    (place / "properties" / "dataset" / "toy.yaml").write_text(f"src_len: 24\ntgt_len: {longest}\nuse_gpu: false\n")
    if model == "BART":
        assert "one of BART, transformer, Chinese-BART: say by --model=" in data(
            "distill", "toy", "--model_path=bare", "new", status=2
        )
    said = ["--model=bart"] if model == "BART" else []
    greedy = {"num_beams": 1, "no_repeat_ngram_size": 3} if model == "BART" else {}
    end = AutoTokenizer.from_pretrained(folder).eos_token_id
    first = 1 if model == "BART" else 0  # BART starts from the very token that ends a text
    # A BART writes on as it began; a canvas for more tokens may write another text.
    room = 10 if model == "BART" else longest
    cut = sum(end not in row[first : longest - 1] for row in rows(model, folder, max_length=room, **greedy))
    # How often an ELMER that has learnt so little fills its canvas depends on the machine's arithmetic.
    assert model == "ELMER" or 0 < cut < 80
    printed = data("distill", "toy", "--model_path=bare", *said, "new")
    written = Path("dataset/new/train.tgt").read_text().splitlines()
    assert written == texts_of(rows(model, folder, max_length=longest, **greedy), folder)
    assert f"{cut} cut" in printed
    assert json.loads(Path("dataset/new/distill.json").read_text())["cut"] == cut


def write_instead(monkeypatch: pytest.MonkeyPatch, texts: list[str]) -> None:
    """Let every text of a batch be the next of `texts`, as batches of all examples ask for them."""
    monkeypatch.setattr(distill, "decode_ids", lambda tokenizer, ids: texts[: len(ids)])


NASTY = ["two\nlines", "a\r\nb", "'quoted'", '"', "['a', 'b']", "[]", "NULL", "\\n", "你好\u2028", "\ufeffbom", "007"]


def test_any_text_survives_and_no_target_is_empty(
    place: Path, data: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = {
        "train.src": ["one two"] * 14,
        "train.tgt": ["'a\\nb'", "x", *["r"] * 9, "['first', 'second']", "z", "q q"],
    }
    for name, content in lines.items():
        (place / "dataset" / "toy" / name).write_text("".join(f"{line}\n" for line in content))
    write_instead(monkeypatch, [*NASTY, " \n ", "z  z z", "q q"])
    printed = data(*command("--batch_size=64")[:3], "new")
    split = load_split(place / "dataset" / "new", "train")
    assert split.target == [*[text.strip() for text in NASTY], ["first", "second"], "z", "q"]
    assert split.source == ["one two"] * 14
    assert "14 texts" in printed
    assert "1 empty (the reference stands in their place)" in printed
    record = json.loads((place / "dataset" / "new" / "distill.json").read_text())
    assert (record["empty"], record["equal_to_reference"]) == (1, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a a b b b a", "a b a"),
        ("the theme the", "the theme the"),
        ("a a.", "a a."),
        ("a\n\na  b", "a  b"),
        ("ab b", "ab b"),
        ("ha haha ha", "ha haha ha"),
        ("", ""),
    ],
)
def test_words_that_equal_their_left_neighbour_are_dropped(text: str, expected: str) -> None:
    assert without_repeats(text) == expected


def interrupted(monkeypatch: pytest.MonkeyPatch, after: int, *more: str) -> None:
    """Distill, and be interrupted with the batch after so many in the making."""
    write, calls = distill._write, []

    def breaking(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) > after:
            raise KeyboardInterrupt
        return write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(distill, "_write", breaking)
        assert main(["data", *command(*more)]) == 130
    assert not Path("dataset/new").exists()


def counted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    calls, write = [], distill._write
    monkeypatch.setattr(distill, "_write", lambda *arguments: calls.append(1) or write(*arguments))
    return calls


def test_goes_on_where_it_was_interrupted(
    place: Path, data: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data(*command(name="whole"))
    interrupted(monkeypatch, 3)
    interrupted(monkeypatch, 4)
    assert "distilling" not in data("list")
    calls = counted(monkeypatch)
    data(*command())
    assert len(calls) == 3
    assert files(place / "dataset" / "new") == files(place / "dataset" / "whole")
    assert sorted(os.listdir(place / "dataset")) == ["new", "toy", "whole"]
    records = [json.loads(Path(f"dataset/{name}/distill.json").read_text()) for name in ("new", "whole")]
    assert {key: value for key, value in records[0].items() if key != "seconds"} == {
        key: value for key, value in records[1].items() if key != "seconds"
    }


def lines_of(staging: Path) -> list[bytes]:
    return (staging / "texts.jsonl").read_bytes().splitlines(keepends=True)


DAMAGES: dict[str, tuple[Callable[[list[bytes]], list[bytes]], int]] = {
    "half a line": (lambda lines: [*lines[:3], lines[3][:30]], 7),
    "no end of line": (lambda lines: [*lines[:3], lines[3][:-1]], 7),
    "zeros": (lambda lines: [*lines[:3], b"\0" * 500], 7),
    "another batch's line": (lambda lines: [lines[0], *lines[2:]], 9),
    "a text too few": (lambda lines: [lines[0], lines[1].replace(b'", "', b" ", 1), *lines[2:]], 9),
    "no text": (lambda lines: [lines[0].replace(b'"cut": 0', b'"cut": null'), *lines[1:]], 10),
    "a batch too many": (lambda lines: [*lines, *lines], 6),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_written_again(
    place: Path, data: Callable[..., str], monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    data(*command(name="whole"))
    interrupted(monkeypatch, 4)
    staging = place / "dataset" / ".new.distilling"
    change, again = DAMAGES[damage]
    (staging / "texts.jsonl").write_bytes(b"".join(change(lines_of(staging))))
    calls = counted(monkeypatch)
    data(*command())
    assert len(calls) == again
    assert files(place / "dataset" / "new") == files(place / "dataset" / "whole")


def test_a_kill_costs_a_batch(place: Path, data: Callable[..., str]) -> None:
    typed = ["distill", "toy", "--model_path=saved/BART", "--batch_size=1"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    process = subprocess.Popen(
        [sys.executable, "-m", "textbox_elmer", "data", *typed, "new"], env=environment, stderr=subprocess.DEVNULL
    )
    progress = place / "dataset" / ".new.distilling" / "texts.jsonl"
    while process.poll() is None and not (progress.exists() and progress.read_bytes().count(b"\n") >= 5):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    kept = lines_of(progress.parent)
    assert 5 <= len(kept) < 80
    data(*typed, "new")
    data(*typed, "whole")
    assert files(place / "dataset" / "new") == files(place / "dataset" / "whole")


def test_one_distills_into_a_name(place: Path, data: Callable[..., str]) -> None:
    with held(Path("dataset/new"), ""):
        assert "Another process is at work on 'dataset/new'" in data(*command(), status=2)
    assert os.listdir(place / "dataset") == ["toy"]


def test_planted_links_are_not_followed(place: Path, data: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(monkeypatch, 1)
    texts = place / "dataset" / ".new.distilling" / "texts.jsonl"
    texts.unlink()
    (place / "precious").write_text("precious")
    texts.symlink_to(place / "precious")
    assert "texts.jsonl' is a link or no regular file" in data(*command(), status=2)
    shutil.rmtree(texts.parent)
    (place / "elsewhere").mkdir()
    texts.parent.symlink_to(place / "elsewhere")
    assert "'dataset/.new.distilling' is a link, so nothing is written there" in data(*command(), status=2)
    assert os.listdir(place / "elsewhere") == []
    assert (place / "precious").read_text() == "precious"


@pytest.mark.parametrize("killed", ["before the move", "while files are copied"])
def test_a_kill_at_the_end_costs_nothing(
    place: Path, data: Callable[..., str], monkeypatch: pytest.MonkeyPatch, killed: str
) -> None:
    def kill(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.rename" if killed == "before the move" else "shutil.copyfile", kill)
        assert main(["data", *command()]) == 130
    assert not (place / "dataset" / "new").exists()
    calls = counted(monkeypatch)
    data(*command())
    assert not calls
    assert sorted(files(place / "dataset" / "new")) == sorted(files(place / "dataset" / "toy"))


def other_data(place: Path) -> None:
    path = place / "dataset" / "toy" / "train.tgt"
    path.write_text(path.read_text().replace("alpha", "beta"))


def other_weights(place: Path) -> None:
    folder = place / "saved" / "BART" / "checkpoint_best"
    teacher = BartForConditionalGeneration.from_pretrained(folder)
    with torch.no_grad():
        teacher.model.shared.weight[0, 0] += 1
    teacher.save_pretrained(folder)


def damaged_identity(place: Path) -> None:
    (place / "dataset" / ".new.distilling" / "distillation.json").write_text("{")


@pytest.mark.parametrize(
    ("change", "more", "message"),
    [
        (None, ["--num_beams=2"], "was begun with another num_beams: repeat that command"),
        (None, ["--batch_size=7"], "was begun with another batch_size: repeat"),
        (other_data, [], "was begun with another dataset: repeat"),
        (other_weights, [], "was begun with another model_path: repeat"),
        (damaged_identity, [], "distillation.json' is missing or damaged"),
    ],
)
def test_what_was_begun_otherwise_is_kept(
    place: Path,
    data: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], None] | None,
    more: list[str],
    message: str,
) -> None:
    interrupted(monkeypatch, 3)
    staging = place / "dataset" / ".new.distilling"
    before = (staging / "texts.jsonl").read_bytes()
    if change:
        change(place)
    typed = ["distill", "toy", "--model_path=saved/BART", "new", *(more or ["--batch_size=8"])]
    if more and "batch_size" not in more[0]:
        typed.append("--batch_size=8")
    complaint = data(*typed, status=2)
    assert message in complaint
    assert "to begin anew" in complaint
    assert (staging / "texts.jsonl").read_bytes() == before
    shutil.rmtree(staging)
    data(*typed)


def test_a_teacher_that_moved_is_the_same(
    place: Path, data: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(monkeypatch, 3)
    (place / "saved" / "BART").rename(place / "saved" / "moved")
    calls = counted(monkeypatch)
    data(*command(model="moved"))
    assert len(calls) == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["distill", "toy", "--model_path=saved/BART"], "`textbox-elmer data distill` needs NEW, e.g. "),
        (["distill", "toy", "new"], "`textbox-elmer data distill` needs --model_path, e.g. "),
        (["distill", "tou", "--model_path=saved/BART", "new"], "There is no dataset 'tou'"),
        (["distill", "toy", "--model_path=saved/BART", "toy"], "is here already and nothing in it is overwritten"),
        (["distill", "toy", "--model_path=saved/BART", "../new"], "'../new' cannot be a dataset's name"),
        (["distill", "toy", "--model_path=saved/none", "new"], "No model configuration can be read from 'saved/none'"),
        (["distill", "toy", "--model_path=saved/BART", "--num_beams=0", "new"], "--num_beams must be a whole number"),
        (["distill", "toy", "--model_path=saved/BART", "--batch_size=x", "new"], "--batch_size must be a whole number"),
        (["distill", "toy", "--model_path=saved/BART", "--beams=2", "new"], "did you mean --num_beams?"),
        (["distill", "toy", "--model_path=plain", "--num_beams=2", "new"], "without beams, under alignment=position: "),
        (["distill", "toy", "--model_path=saved/BART", "--model=T5", "new"], "comes from a run of BART: leave --model"),
        (["distill", "toy", "--model_path=saved/BART", "--model=nobody", "new"], "no model called 'nobody'"),
    ],
)
def test_mistakes(
    place: Path, data: Callable[..., str], arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    save_small_elmer(place / "plain")
    before = files(place / "dataset" / "toy")
    assert message in data(*arguments, status=2)
    assert files(place / "dataset" / "toy") == before
    assert os.listdir(place / "dataset") == ["toy"]


def test_a_damaged_teacher_and_a_split_that_does_not_fit(place: Path, data: Callable[..., str]) -> None:
    weights = place / "saved" / "BART" / "checkpoint_best" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert "checkpoint_best" in data(*command(), status=2)
    (place / "dataset" / "toy" / "train.tgt").write_text("one\n")
    assert "has 80 lines but" in data(*command(model="ELMER"), status=2)
    assert os.listdir(place / "dataset") == ["toy"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(place: Path, data: Callable[..., str]) -> None:
    (place / "dataset").chmod(0o555)
    try:
        assert "cannot be written" in data(*command(), status=2)
    finally:
        (place / "dataset").chmod(0o755)


def test_a_distilled_dataset_is_one_like_any_other(place: Path, data: Callable[..., str]) -> None:
    """It is listed, checked, trained on under the settings of what it was made of, and distilled again."""
    for split in ("test.src", "test.tgt"):
        (place / "dataset" / "toy" / split).unlink()
    (place / "properties" / "dataset").mkdir(parents=True)
    (place / "properties" / "dataset" / "toy.yaml").write_text("src_len: 24\ntgt_len: 9\nmetrics: [distinct]\n")
    data(*command())
    data("distill", "new", "--model_path=saved/ELMER", "newer")
    assert not (place / "dataset" / "new" / "test.src").exists()
    assert "new" in data("list")
    assert "There is no test split" in data("check", "newer")
    settings = {key: value for key, value in tiny().items() if key not in ("src_len", "tgt_len", "metrics")}
    student = options(settings | {"epochs": 1, "do_test": False, "filename": "student"})
    assert main(["--model=ELMER", "--dataset=newer", *student]) == 0
    saved = (place / "saved" / "student" / "config.yaml").read_text()
    assert "tgt_len: 9" in saved
    assert "dataset: newer" in saved
    assert resolve_config("BART", "newer").origin("tgt_len") == "properties/dataset/toy.yaml"
