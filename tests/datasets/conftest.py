"""Fixtures for the commands around datasets."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.datasets.hub import Hub, running_hub
from textbox_elmer.cli import main


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub on this machine, which HF_ENDPOINT names."""
    with running_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def data(capsys: pytest.CaptureFixture) -> Callable[..., str]:
    """Run `data …`: returns what it prints, or for status 2 the one sentence that it complains with."""

    def run(*arguments: str, status: int = 0) -> str:
        capsys.readouterr()
        assert main(["data", *arguments]) == status
        shown = capsys.readouterr()
        if status == 0:
            return shown.out
        assert shown.err.count("\n") == 1, shown.err
        assert shown.out == ""
        return shown.err

    return run
