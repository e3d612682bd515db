"""What a kill costs, what is gone on with and what is not, several processes, and how much memory it all takes."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pyarrow
import pytest
import torch
from pyarrow import parquet

from tests.inference.conftest import SRC_LEN, write_lines
from textbox_elmer.bench.memory import peak_megabytes
from textbox_elmer.cli import main
from textbox_elmer.files import held
from textbox_elmer.inference.generate import generate_to_files
from textbox_elmer.inference.job import open_job
from textbox_elmer.inference.parts import Parts
from textbox_elmer.inference.ranks import Ranks
from textbox_elmer.inference.tables import columnar
from textbox_elmer.inference.tables.rows import NewColumns
from textbox_elmer.inference.writer import TextWriter, load_writer
from textbox_elmer.subprocesses import environment

Generate = Callable[..., tuple[bytes, str]]
COMMAND = ("--input=in.txt", "--output=out.txt")


class Terminal(io.StringIO):
    """Keeps what is shown."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many texts each call of a writer had, but for the trial before the first."""
    found: list[int] = []
    call = TextWriter.__call__

    def counting(self: TextWriter, texts: list[str], *more: object) -> list:
        if more:
            found.append(len(texts))
        return call(self, texts, *more)

    monkeypatch.setattr(TextWriter, "__call__", counting)
    return found


def interrupt(monkeypatch: pytest.MonkeyPatch, generate: Generate, after: int, *arguments: str) -> None:
    """Generate, and be interrupted with the part after so many about to be written."""
    keep, kept = Parts.keep, []

    def breaking(*words: object) -> None:
        kept.append(words)
        if len(kept) > after:
            raise KeyboardInterrupt
        keep(*words)

    with monkeypatch.context() as patch:
        patch.setattr(Parts, "keep", breaking)
        generate(*(arguments or COMMAND), status=130)


def left() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


@pytest.mark.usefixtures("small_windows")
def test_goes_on_where_it_was_interrupted(
    generate: Generate, texts: list[str], calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lines(Path("in.txt"), [*texts, ""])
    generate("--input=in.txt", "--output=whole.txt", status=3)
    interrupt(monkeypatch, generate, 3)
    assert left() == [".out.txt.parts", "in.txt", "whole.txt"]
    interrupt(monkeypatch, generate, 2)
    calls.clear()
    _, told = generate(*COMMAND, status=3)
    assert calls == [4, 4, 2]
    assert Path("out.txt").read_bytes() == Path("whole.txt").read_bytes()
    assert told == "out.txt: 30 of 31 texts written, 1 failed and have an error in place of a text.\n"
    assert left() == ["in.txt", "out.txt", "whole.txt"]


@pytest.mark.usefixtures("small_windows")
@pytest.mark.parametrize("kind", [".jsonl", ".csv", ".parquet"])
def test_the_same_bytes_of_every_kind(
    generate: Generate, texts: list[str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if kind == ".parquet":
        parquet.write_table(pyarrow.table({"text": texts}), "in.parquet")
    else:
        lines = ["text", *texts] if kind == ".csv" else [json.dumps({"text": text}) for text in texts]
        write_lines(Path(f"in{kind}"), lines)
    generate(f"--input=in{kind}", f"--output=whole{kind}")
    interrupt(monkeypatch, generate, 5, f"--input=in{kind}", f"--output=out{kind}")
    generate(f"--input=in{kind}", f"--output=out{kind}")
    assert Path(f"out{kind}").read_bytes() == Path(f"whole{kind}").read_bytes()


@pytest.mark.usefixtures("small_windows")
def test_what_is_piped_in_goes_on_too(
    generate: Generate, texts: list[str], calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    piped = "\n".join(texts).encode()
    generate("--output=whole.txt", piped=piped)
    with monkeypatch.context() as patch:
        patch.setattr(Parts, "wait_for", lambda *words: (_ for _ in ()).throw(KeyboardInterrupt))
        generate("--output=out.txt", piped=piped, status=130)
    calls.clear()
    _, told = generate("--output=out.txt", piped=piped.replace(b"alpha", b"beta"), status=2)
    assert "Standard input is not what it was" in told
    generate("--output=out.txt", piped=piped)
    assert calls == []
    assert Path("out.txt").read_bytes() == Path("whole.txt").read_bytes()


@pytest.mark.usefixtures("small_windows")
def test_texts_that_are_drawn_are_the_same(
    generate: Generate, bart_run: Path, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lines(Path("in.txt"), texts)
    drawn = "--generation_kwargs={do_sample: true, max_length: 8, num_beams: 1}"
    generate("--input=in.txt", "--output=whole.txt", drawn, model=bart_run)

    def with_bart(*arguments: str, status: int = 0) -> tuple[bytes, str]:
        return generate(*arguments, drawn, status=status, model=bart_run)

    interrupt(monkeypatch, with_bart, 4)
    with_bart(*COMMAND)
    assert Path("out.txt").read_bytes() == Path("whole.txt").read_bytes()


def other_input(folder: Path) -> None:
    write_lines(folder / "in.txt", ["beta"] * 20)


def no_identity(folder: Path) -> None:
    (folder / ".out.txt.parts" / "identity.json").unlink()


@pytest.mark.usefixtures("small_windows")
@pytest.mark.parametrize(
    ("change", "more", "message"),
    [
        (None, ["--src_len=12"], "was begun with another src_len: repeat that command"),
        (None, ["--batch_size=2"], "was begun with another batch_size: "),
        (None, ["--strict"], "was begun with another strict: "),
        (None, ["--generation_kwargs={decoding: greedy}"], "was begun with another generation_kwargs: "),
        (other_input, [], "was begun with another input: "),
        (no_identity, [], "identity.json' is missing or damaged"),
    ],
)
def test_what_was_begun_otherwise_is_kept(
    generate: Generate,
    tmp_path: Path,
    texts: list[str],
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], None] | None,
    more: list[str],
    message: str,
) -> None:
    write_lines(Path("in.txt"), texts)
    interrupt(monkeypatch, generate, 2)
    if change:
        change(tmp_path)
    parts = sorted((tmp_path / ".out.txt.parts").iterdir())
    _, told = generate(*COMMAND, *more, status=2)
    assert message in told
    assert "to begin anew" in told
    assert sorted((tmp_path / ".out.txt.parts").iterdir()) == parts


@pytest.mark.usefixtures("small_windows")
def test_a_damaged_part_is_written_again(
    generate: Generate, texts: list[str], calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lines(Path("in.txt"), texts)
    generate("--input=in.txt", "--output=whole.txt")
    interrupt(monkeypatch, generate, 3)
    Path(".out.txt.parts/00000001.part").write_bytes(b"\0" * 50)
    calls.clear()
    generate(*COMMAND)
    assert calls == [4, 4, 4, 4, 4, 2]
    assert Path("out.txt").read_bytes() == Path("whole.txt").read_bytes()


def test_one_process_at_an_output(generate: Generate, texts: list[str]) -> None:
    write_lines(Path("in.txt"), texts)
    with held(Path("out.txt"), "wait"):
        _, told = generate(*COMMAND, status=2)
    assert "Another process is at work on 'out.txt'" in told
    generate(*COMMAND)
    _, told = generate(*COMMAND, status=2)
    assert "'out.txt' is here already and is not overwritten: give another --output" in told


@pytest.mark.usefixtures("small_windows")
def test_processes_share_the_windows(
    elmer: Path, tmp_path: Path, texts: list[str], written: list[str], calls: list[int]
) -> None:
    write_lines(tmp_path / "in.txt", texts)
    writers = [load_writer(str(elmer), src_len=SRC_LEN, use_gpu=False) for _ in range(3)]

    def work(rank: int) -> None:
        job = open_job(tmp_path / "in.txt", tmp_path / "out.txt", "text", NewColumns("generated"), rank == 0)
        reports[rank] = generate_to_files(job, writers[rank], Ranks(rank, 3))

    reports: dict[int, object] = {}
    helpers = [Thread(target=work, args=[rank]) for rank in (2, 1)]
    for helper in helpers:
        helper.start()
    work(0)
    for helper in helpers:
        helper.join()
    assert (tmp_path / "out.txt").read_text().splitlines() == written
    assert sum(calls) == 30
    assert reports[0].rows == 30
    assert reports[1] is reports[2] is None
    work(1)  # comes when all is done
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", "out.txt"]


def test_processes_share_no_pipe(generate: Generate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    _, told = generate("--output=out.txt", piped=b"alpha\n", status=2)
    assert "Several processes need --input=… and --output=…" in told


def test_a_kill_costs_a_window(elmer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blank lines are done at once, so that there are many windows."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("a" + "\n" * 150_000)
    command = ["generate", f"--model_path={elmer}", f"--src_len={SRC_LEN}", "--use_gpu=False", *COMMAND]
    process = subprocess.Popen(
        [sys.executable, "-m", "textbox_elmer", *command], env=environment(), stderr=subprocess.DEVNULL
    )
    staging = tmp_path / ".out.txt.parts"
    while process.poll() is None and len(list(staging.glob("*.part"))) < 5:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    kept = {path.name: path.stat().st_mtime_ns for path in staging.glob("*.part")}
    assert 5 <= len(kept) < 70
    with monkeypatch.context() as patch:
        patch.setattr("textbox_elmer.inference.generate.remove", lambda path: None)
        assert main(command) == 3
    lines = (tmp_path / "out.txt").read_text().splitlines()
    assert len(lines) == 150_000
    assert set(lines[1:]) == {"[error: no text]"}
    assert not lines[0].startswith("[error")
    assert {name: (staging / name).stat().st_mtime_ns for name in kept} == kept


@pytest.mark.parametrize("kind", ["txt", "parquet"])
def test_memory_stays(elmer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Ten times the rows, all blank so that they are done at once, take no more memory; groups of rows are small."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(columnar, "ROW_GROUP", 2**21)
    for count in (20_000, 200_000):
        if kind == "txt":
            Path(f"{count}.txt").write_text("a\n" + f"{' ' * 199}\n" * (count - 1))
        else:
            table = pyarrow.table({"text": [" "] * 10_000, "noise": [f"{number:0199}" for number in range(10_000)]})
            with parquet.ParquetWriter(f"{count}.parquet", table.schema) as file:
                for _ in range(count // len(table)):
                    file.write_table(table)
    command = ["generate", f"--model_path={elmer}", f"--src_len={SRC_LEN}", "--use_gpu=False"]

    def peak(count: int, output: str) -> float:
        words = [*command, f"--input={count}.{kind}", f"--output={output}.{kind}"]
        statuses = []
        found = peak_megabytes(lambda: statuses.append(main(words)), torch.device("cpu"))
        assert statuses == [3]
        return found

    peak(20_000, "warm")
    small, large = peak(20_000, "small"), peak(200_000, "large")
    assert os.path.getsize(f"large.{kind}") > 5 * os.path.getsize(f"small.{kind}")
    assert large < small + 20


@pytest.mark.usefixtures("small_windows")
@pytest.mark.parametrize("kind", [".txt", ".csv"])
def test_a_bar_on_a_terminal(
    elmer: Path, tmp_path: Path, texts: list[str], monkeypatch: pytest.MonkeyPatch, generate: Generate, kind: str
) -> None:
    """It begins with what was written earlier, and ends with the number of rows."""
    write_lines(tmp_path / f"in{kind}", ["text", "", *texts] if kind == ".csv" else texts)
    arguments = (f"--input=in{kind}", f"--output=out{kind}")
    interrupt(monkeypatch, generate, 5, *arguments)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    command = [f"--model_path={elmer}", "--use_gpu=False", "--batch_size=3", f"--src_len={SRC_LEN}"]
    assert main(["generate", *command, *arguments]) == 0
    assert "generate: 100%" in terminal.getvalue()
    assert "30/30" in terminal.getvalue()
    assert "texts/s" in terminal.getvalue()
