"""`generate --engine=ray`: the same rows as this process writes, whatever dies meanwhile, on a Ray of this machine."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from textbox_elmer.errors import UserError
from textbox_elmer.inference.cluster import worker
from textbox_elmer.inference.tables import rows

ray = pytest.importorskip("ray", reason='Ray is missing: pip install ".[ray]"')
from textbox_elmer.inference.cluster import engine  # noqa: E402

Generate = Callable[..., tuple[bytes, str]]
COMMAND = ("--input=in", "--output=out", "--engine=ray")
WORKERS = 2


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A Ray for two workers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "cpu_count", lambda: WORKERS)
        with engine.connected("local"):
            yield


class MortalWorker(worker.Worker):
    """Notes which texts it is given; after its first answer it dies of what the file `fate` says, once.

    It is killed at once, but fails only when an answer is written.
    """

    def __call__(self, batch: pyarrow.Table) -> pyarrow.Table:
        folder = Path(batch.column("folder")[0].as_py())
        notes, fate = folder / f"pid-{os.getpid()}", folder / "fate"
        is_second = notes.exists()
        with notes.open("a") as file:
            file.writelines(f"{text}\n" for text in batch.column("text").to_pylist())
        if is_second and fate.exists():
            if fate.read_text() == "kill":
                fate.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
            while not is_written(folder):
                time.sleep(0.1)
            fate.unlink(missing_ok=True)
            raise UserError("A worker is told to fail.")
        return super().__call__(batch)


def is_written(folder: Path) -> bool:
    """Tell whether the answers to a batch are."""
    return any(".pending" not in file.name for file in folder.glob(".out.parts/done/*"))


@pytest.fixture
def mortal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that can die, and batches of four rows."""
    monkeypatch.setattr(engine, "Worker", MortalWorker)
    for module in (rows, engine):
        monkeypatch.setattr(module, "ROWS", 4)
    monkeypatch.setattr(engine, "WINDOWS_PER_FILE", 1)


def write_table(folder: Path, texts: list[str]) -> list[str | None]:
    """Write the texts, two rows without any, and what else a table has, into two files; return all rows' texts."""
    column = [*texts[:3], None, *texts[3:], "  "]
    table = pyarrow.table(
        {
            "text": pyarrow.array(column).dictionary_encode(),
            "when": pyarrow.array(range(len(column)), pyarrow.timestamp("us")),
            "folder": [str(folder.parent)] * len(column),
        }
    )
    folder.mkdir()
    parquet.write_table(table[:13], folder / "a.parquet")
    parquet.write_table(table[13:], folder / "b.parquet")
    return column


def rows_of(folder: Path) -> list[dict]:
    """Return the rows of a folder's files but for what a cluster adds, by their time."""
    found = [
        row for file in sorted(folder.iterdir()) for row in parquet.read_table(file, partitioning=None).to_pylist()
    ]
    return sorted(({**row, "row_hash": None, "cut": None} for row in found), key=lambda row: row["when"])


def given(folder: Path) -> list[str]:
    return [text for file in folder.glob("pid-*") for text in file.read_text().splitlines()]


@pytest.mark.usefixtures("cluster", "mortal")
def test_neither_a_failure_nor_a_killed_worker_loses_or_doubles_a_row(
    generate: Generate, tmp_path: Path, texts: list[str]
) -> None:
    column = write_table(tmp_path / "in", texts)
    generate("--input=in", "--output=alone", status=3)
    (tmp_path / "fate").write_text("fail")
    _, told = generate(*COMMAND, status=2)
    assert told == "Error: A worker is told to fail.\n"
    assert not (tmp_path / "out").exists()
    for file in tmp_path.glob("pid-*"):
        file.unlink()
    (tmp_path / "fate").write_text("kill")
    _, told = generate(*COMMAND, status=3)
    assert told == "out: 30 of 32 texts written, 2 failed and have an error in place of a text.\n"
    assert not (tmp_path / "fate").exists()
    assert rows_of(tmp_path / "out") == rows_of(tmp_path / "alone")
    again = given(tmp_path)
    assert len(set(again)) < len(set(column))  # what was written before was not done again
    assert len(again) > len(set(again))  # what the killed worker had at hand was
    assert not (tmp_path / ".out.parts").exists()


def write_text(folder: Path) -> None:
    (folder / "a.txt").write_text("alpha")


def write_taken(folder: Path) -> None:
    parquet.write_table(pyarrow.table({"text": ["alpha"], "row_hash": [1]}), folder / "a.parquet")


def write_unlike(folder: Path) -> None:
    parquet.write_table(pyarrow.table({"text": ["alpha"], "n": [1]}), folder / "a.parquet")
    parquet.write_table(pyarrow.table({"text": ["alpha"], "n": ["1"]}), folder / "b.parquet")


@pytest.mark.parametrize(
    ("write", "options", "said"),
    [
        (write_text, COMMAND, "reads .parquet files alone"),
        (write_taken, COMMAND, "a column 'row_hash'"),
        (write_unlike, COMMAND, "has not the columns of"),
        (write_unlike, [*COMMAND, "--column=texts"], "did you mean --column=text?"),
        (write_unlike, ["--engine=ray", "--input=in"], "--engine=ray needs --input=… and --output=…"),
        (write_unlike, ["--engine=ray", "--input=in", "--output=in"], "is here already"),
        (write_unlike, ["--input=in", "--output=out", "--ray_address=auto"], "is of --engine=ray"),
    ],
)
def test_wrong_use(
    generate: Generate, tmp_path: Path, write: Callable[[Path], None], options: list[str], said: str
) -> None:
    (tmp_path / "in").mkdir()
    write(tmp_path / "in")
    _, told = generate(*options, status=2)
    assert said in told
    assert not (tmp_path / "out").exists()


def test_no_cluster(generate: Generate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_table(tmp_path / "in", ["alpha"] * 12)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = "{}:{}".format(*closed.getsockname())
    _, told = generate(*COMMAND, f"--ray_address={address}", status=2)
    assert told.startswith(f"Error: No Ray cluster answers at '{address}' (")
