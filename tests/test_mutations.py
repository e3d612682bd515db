"""Random mistakes: whatever is wrong with a file or a command line gets a sentence, and nothing else is touched.

Each example is a sound file with a few bytes changed, or a sound command line with a few words changed, and one command
that reads it. No example trains: what reads a file on its way to a training is stopped by a mistake behind it.
"""

import io
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from tests.conftest import save_small_elmer, write_toy
from textbox_elmer.cli import main
from textbox_elmer.trials import trial

LONGEST = 60  # seconds that a command may take
TELLING = [
    *(b"\x00", b"\xff", b"\xed\xa0\x80", b"\x1b]0;x\x07", b"\xef\xbb\xbf", b"\r", b"\n", b"\n\n", b"\t", b" ", b"  "),
    *(b"[", b"]", b"{", b"}", b'"', b"'", b":", b": ", b",", b"- ", b"#", b"|", b"%", b"!", b"&a ", b"*a", b"\\"),
    *(b"0", b"-1", b"1e999", b"-1e999", b"NaN", b"9" * 30, b"1" + b"0" * 400, b"null", b"true", b"[]", b"{}", b'""'),
    *(b"\\ud800", b"<script>", b"[/bold]", b"../", b"/", b"~", b"<<: *a", b"!!int ''", b"2020-99-99", b"[" * 3000),
]
Edit = tuple[str, float, float, bytes]
EDITS: st.SearchStrategy[list[Edit]] = st.lists(
    st.tuples(
        st.sampled_from(["replace", "replace", "insert", "insert", "delete", "repeat", "cut"]),
        st.floats(0, 1),
        st.floats(0, 1),
        st.sampled_from(TELLING) | st.binary(min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=4,
)


def edited(content: bytes, edits: Sequence[Edit]) -> bytes:
    """Return bytes with edits made one after the other, each at a place that is a share of the whole."""
    for kind, place, length, new in edits:
        begin = int(place * len(content))
        end = begin + 1 + int(length * min(40, len(content)))
        if kind == "replace":
            content = content[:begin] + new + content[begin + len(new) :]
        elif kind == "insert":
            content = content[:begin] + new + content[begin:]
        elif kind == "delete":
            content = content[:begin] + content[end:]
        elif kind == "repeat":
            content = content[:end] + content[begin:end] * 3 + content[end:]
        elif place > 0.5:
            content = content[:begin]
    return content


def examples(count: int) -> Callable:
    """Return what runs a test with so many random mistakes, the same ones each time."""
    return settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


class TooLongError(BaseException):
    """Nothing that the program could catch."""


@contextmanager
def limited() -> Iterator[None]:
    """End a block that takes too long."""

    def stop(*_: object) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def state(folder: Path, named: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return the sizes and times of all files that are in no place that the command names."""
    found = {}
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder).as_posix()
        if not any(place == name or place.startswith(f"{name}/") for name in named) and not path.is_dir():
            facts = path.lstat()
            found[place] = facts.st_size, facts.st_mtime_ns
    return found


def check(folder: Path, typed: Sequence[str], *named: str) -> None:
    """Run a command and check how it ends, what it says, and that it writes nothing but what it names."""
    before, out, err = state(folder, named), io.StringIO(), io.StringIO()
    with limited(), redirect_stdout(out), redirect_stderr(err):
        status = main(typed)
    printed = out.getvalue() + err.getvalue()
    assert status in (0, 2), printed
    assert "Traceback" not in printed
    assert "Unexpected fault" not in printed
    assert "\x1b" not in printed
    assert len(printed) < 100_000
    if status == 2:
        lines = [line for line in err.getvalue().splitlines() if not line.startswith("20")]  # what is logged has a date
        assert len(lines) == 1, printed
        assert lines[0].startswith("Error: ")
    assert state(folder, named) == before


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Iterator[Path]:
    """A working directory with one of each kind of file."""
    folder = tmp_path_factory.mktemp("mutations")
    write_toy(folder / "dataset" / "toy", {"train": 6, "valid": 3, "test": 3})
    save_small_elmer(folder / "model")
    run = folder / "saved" / "run"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(CONFIG)
    decoding = {"ms_per_example": 1.5, "examples": 3, "batch_size": 2, "canvas_positions": 20}
    training = {"steps": 3, "seconds": 1.5, "best_score": 1.0, "best_metrics": {"loss": 2.0}}
    results = {"model": "ELMER", "dataset": "toy", "metrics": {"rouge-1": 1.0}, "loss": 2.0, "parameters": 1000}
    results |= {"command": "run", "commit": "c", "decoding": decoding, "training": training, "mean_exit_layer": 0.5}
    (run / "results.json").write_text(json.dumps(results))
    (run / "generation.txt").write_text("alpha beta\n" * 3)
    trace = {"pieces": ["alpha", " beta"], "exit_layers": [0, 1], "scores": [0.5, 1.0], "settled_layers": [0, 0]}
    trace |= {"vertices": [0, 3], "copied": [True, False]}
    (run / "generation.jsonl").write_text(f"{json.dumps(trace)}\n" * 3)
    (folder / "properties" / "leaderboard").mkdir(parents=True)
    (folder / "properties" / "leaderboard" / "toy.yaml").write_text(BOARD)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("textbox_elmer.hub._hub_answers", lambda: False)
        patch.setattr(trial, "_run", lambda words: 2)
        yield folder


CONFIG = """\
model: ELMER
dataset: toy
data_path: dataset
metrics: [rouge]
learning_rate: 3e-5
max_steps: null
prefix_prompt: 'say: '
generation_kwargs: {max_length: 7}
scheduler_kwargs: {n_warmup_steps: 3}
optimizer: adamw
quick_test: false
d_model: 32
"""
BOARD = """\
title: Toy
task: Text summarization
metrics: [rouge-1, rouge-2]
sort: rouge-1
order: descending
scale: {rouge-2: 10}
rows:
  - model: Best
    paper: https://arxiv.org/abs/1
    decoding: NAR
    parameters: 1000
    metrics: {rouge-1: 20.5, rouge-2: 9}
    source: https://example.org/middle
    protocol: another
"""


@contextmanager
def mutated(folder: Path, name: str, edits: Sequence[Edit]) -> Iterator[None]:
    """Exchange a file for one with mistakes."""
    sound = (folder / name).read_bytes()
    (folder / name).write_bytes(edited(sound, edits))
    try:
        yield
    finally:
        (folder / name).write_bytes(sound)


@examples(250)
@given(EDITS)
def test_config_files(place: Path, edits: list[Edit]) -> None:
    (place / "my.yaml").write_bytes(edited(CONFIG.encode(), edits))
    check(place, ["--model=ELMER", "--dataset=none", "--config_files=my.yaml"])


@examples(250)
@given(EDITS)
def test_leaderboards(place: Path, edits: list[Edit]) -> None:
    with mutated(place, "properties/leaderboard/toy.yaml", edits):
        check(place, ["leaderboard", "toy", "--markdown"] if len(edits) % 2 else ["leaderboard", "toy"])


@examples(200)
@given(EDITS)
def test_results_in_leaderboards(place: Path, edits: list[Edit]) -> None:
    with mutated(place, "saved/run/results.json", edits):
        check(place, ["leaderboard", "toy", "--markdown"] if len(edits) % 2 else ["leaderboard", "toy"])


@pytest.mark.parametrize("name", ["results.json", "config.yaml", "generation.txt", "generation.jsonl"])
@examples(75)
@given(EDITS)
def test_reports(place: Path, name: str, edits: list[Edit]) -> None:
    with mutated(place, f"saved/run/{name}", edits):
        check(place, ["report", "saved/run", "--out=report.html"], "report.html")


@pytest.mark.parametrize("name", ["train.src", "train.tgt"])
@examples(100)
@given(EDITS)
def test_datasets(place: Path, name: str, edits: list[Edit]) -> None:
    with mutated(place, f"dataset/toy/{name}", edits):
        check(place, ["data", "check", "toy"])


@pytest.mark.parametrize("kind", ["jsonl", "txt", "parquet"])
@examples(50)
@given(EDITS)
def test_corpora(place: Path, kind: str, edits: list[Edit]) -> None:
    corpus = place / "dataset" / "corpus"
    corpus.mkdir(exist_ok=True)
    texts = ["A text of some words.", "Another text.", "More words."]
    if kind == "parquet":
        parquet.write_table(pyarrow.table({"text": texts}), corpus / "texts.parquet")
    else:
        lines = [json.dumps({"text": text}) if kind == "jsonl" else text for text in texts]
        (corpus / f"texts.{kind}").write_text("\n".join(lines))
    with mutated(place, f"dataset/corpus/texts.{kind}", edits):
        check(place, ["--model=ELMER", "--pretrain_task=lplm", "--dataset=corpus", "--tokenizer_path=none"])
    shutil.rmtree(corpus)


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
@examples(30)
@given(EDITS)
def test_tables(place: Path, kind: str, edits: list[Edit]) -> None:
    rows = {"a": [f"source {n}" for n in range(12)], "b": [f"target {n}" for n in range(12)]}
    path = place / f"table.{kind}"
    if kind == "parquet":
        parquet.write_table(pyarrow.table(rows), path)
    elif kind == "csv":
        path.write_text("a,b\n" + "".join(f'"{a}",{b}\n' for a, b in zip(rows["a"], rows["b"], strict=True)))
    else:
        path.write_text("".join(f"{json.dumps({'a': a, 'b': b})}\n" for a, b in zip(*rows.values(), strict=True)))
    with mutated(place, path.name, edits):
        typed = ["data", "import", f"--file={path.name}", "--source=a", "--target=b", "made"]
        check(place, typed, "dataset/made")
    shutil.rmtree(place / "dataset" / "made", ignore_errors=True)


@examples(100)
@given(EDITS)
def test_tokenizers(place: Path, edits: list[Edit]) -> None:
    with mutated(place, "model/tokenizer.json", edits):
        check(place, ["--model=ELMER", "--dataset=toy", "--model_path=model", "--src_len=5000"])


@examples(100)
@given(EDITS)
def test_weights(place: Path, edits: list[Edit]) -> None:
    # Most of the file is numbers, of which any are sound: the header is where mistakes are.
    header = [(kind, place * 0.02, length, new) for kind, place, length, new in edits]
    with mutated(place, "model/model.safetensors", header):
        check(place, ["--model=ELMER", "--dataset=toy", "--model_path=model", "--src_len=5000"])


@pytest.mark.parametrize("content", ['{"options": {"model": "ELMER", "dataset": "toy"}, "config_files": []}'])
@examples(50)
@given(EDITS)
def test_settings_of_several_runs(place: Path, content: str, edits: list[Edit]) -> None:
    folder = place / "saved" / "several"
    folder.mkdir(exist_ok=True)
    (folder / "settings.json").write_bytes(edited(content.encode(), edits))
    check(place, ["--model=ELMER", "--dataset=toy", "--multi_seed=2", "--filename=several"], "saved/several")
    shutil.rmtree(folder)


@examples(100)
@given(EDITS)
def test_search_spaces(place: Path, edits: list[Edit]) -> None:
    space = b"learning_rate loguniform [-7, -5]\ndropout uniform [0, 0.5]\noptimizer choice ['adam', 'sgd']\n"
    (place / "space").write_bytes(edited(space + b"src_len quniform [8, 16, 4]\n", edits))
    check(place, ["--model=ELMER", "--dataset=toy", "--space=space", "--filename=found"], "saved/found")
    shutil.rmtree(place / "saved" / "found", ignore_errors=True)


@examples(50)
@given(EDITS)
def test_records_of_distillation(place: Path, edits: list[Edit]) -> None:
    (place / "dataset" / "toy" / "distill.json").write_bytes(edited(b'{"dataset": "xsum", "teacher": "t"}', edits))
    check(place, ["--model=ELMER", "--dataset=toy", "--src_len=5000", "--model_path=none"])
    (place / "dataset" / "toy" / "distill.json").unlink()


COMMANDS = [
    ["--model=ELMER", "--dataset=none", "--epochs=2", "--metrics=[rouge]", "--learning_rate", "3e-5", "--do_test=True"],
    ["-m", "BART", "-d", "none", "--config_files", "properties/leaderboard/toy.yaml", "--seed=1", "--quick_test=True"],
    ["--model=ELMER", "--dataset=none", "--multi_seed=2", "--saved_dir=saved", "--filename=run"],
    ["leaderboard", "toy", "--saved_dir=saved", "--markdown=report.html"],
    ["report", "saved/run", "--out=report.html"],
    ["compare", "--models", "ELMER,BART", "--dataset=none", "--seeds=2", "--out=report.html", "--resamples=5"],
    ["export", "--model_path=none", "--format=onnx", "--canvas=8,16", "--int8", "--exit_mode=last"],
    ["data", "check", "toy", "--data_path=dataset"],
    ["data", "import", "--file=none.csv", "--source=a", "--target=b", "made"],
    ["data", "distill", "none", "--model_path=none", "--num_beams=2", "made"],
    ["models", "--markdown"],
]

MISTYPED = st.lists(st.sampled_from(["edit", "edit", "edit", "drop", "twice", "move", "add"]), min_size=1, max_size=3)


@examples(400)
@given(st.data())
def test_command_lines(place: Path, data: st.DataObject) -> None:
    words = list(data.draw(st.sampled_from(COMMANDS)))
    for kind in data.draw(MISTYPED):
        number = data.draw(st.integers(0, len(words)))
        if kind == "add" or not words:
            words.insert(number, data.draw(st.sampled_from([word for command in COMMANDS for word in command])))
        elif kind == "twice":
            words.insert(number, words[number % len(words)])
        elif kind == "move":
            words.append(words.pop(number % len(words)))
        elif kind == "drop":
            del words[number % len(words)]
        else:  # as a shell gives them, a word holds any bytes but null
            typed = edited(os.fsencode(words[number % len(words)]), data.draw(EDITS)).replace(b"\0", b"")
            words[number % len(words)] = os.fsdecode(typed)
    values = {os.path.normpath(word.partition("=")[2] or word) for word in words} - {"."}
    check(place, words, "report.html", "saved", "dataset", *values)
