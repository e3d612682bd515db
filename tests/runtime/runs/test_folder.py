"""The folder of a run: a name of its own below saved_dir, held by one process."""

import os
from pathlib import Path

import pytest

from textbox_elmer.errors import UserError
from textbox_elmer.files import held
from textbox_elmer.runtime.config import Config
from textbox_elmer.runtime.runs.folder import run_folder


def config(**values: object) -> Config:
    return Config({"model": "ELMER", "dataset": "toy", "saved_dir": "saved"} | values)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_runs_that_start_together_have_folders_of_their_own() -> None:
    with run_folder(config()) as one, run_folder(config()) as other:
        assert one != other
        assert one.is_dir()
        assert other.is_dir()
    assert sorted(os.listdir("saved")) == sorted([one.name, other.name])


@pytest.mark.parametrize("filename", ["run", "group/run"])
def test_one_works_in_a_folder(filename: str) -> None:
    with run_folder(config(filename=filename)) as run:
        assert run == Path("saved") / filename
        with pytest.raises(
            UserError, match=rf"at work on 'saved/{filename}': wait until it .* give another --filename"
        ):
            run_folder(config(filename=filename)).__enter__()
    with run_folder(config(filename=filename, model_path=f"saved/{filename}/checkpoint-1")):
        pass
    assert os.listdir(run.parent) == ["run"]


def test_a_resume_of_a_run_that_goes_on_is_refused() -> None:
    with run_folder(config()) as run:
        resume = config(filename=run.name, model_path=str(run / "checkpoint-1"))
        with pytest.raises(UserError, match="Another process is at work"):
            run_folder(resume).__enter__()
    with run_folder(resume) as again:
        assert again == run


def test_a_finished_run_is_held_by_nobody() -> None:
    with run_folder(config(filename="run")) as run:
        (run / "results.json").touch()
    with pytest.raises(UserError, match="already holds a finished run: give another --filename"):
        run_folder(config(filename="run")).__enter__()
    with held(Path("saved/run"), ""):
        pass


@pytest.mark.parametrize("filename", ["file", "n" * 300, "file/below"])
def test_a_filename_that_cannot_be_a_folder_is_blamed_itself(filename: str) -> None:
    Path("saved").mkdir()
    Path("saved/file").write_text("precious")
    with pytest.raises(UserError, match=rf"'saved/{filename}' cannot be written .*: give another --filename\."):
        run_folder(config(filename=filename)).__enter__()
    assert Path("saved/file").read_text() == "precious"
    assert os.listdir("saved") == ["file"]


def test_a_saved_dir_that_cannot_be_one_is_blamed_itself() -> None:
    Path("file").touch()
    for saved_dir in ("file", "file/below", "n" * 300):
        with pytest.raises(UserError, match=rf"'{saved_dir}' cannot be written .*: give another --saved_dir\."):
            run_folder(config(saved_dir=saved_dir, filename="run")).__enter__()


def test_a_datasets_long_name() -> None:
    with pytest.raises(UserError, match=r"cannot be written \(File name too long\): give a --filename\."):
        run_folder(config(dataset="d" * 250)).__enter__()
