"""What a run records of the code that it ran."""

import shutil
import subprocess
from pathlib import Path

import pytest

from textbox_elmer.runtime.runs.results import source_commit


def git(checkout: Path, *words: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    done = subprocess.run(["git", "-C", str(checkout), *identity, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_checkout_is_recorded_by_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "textbox_elmer"
    package.mkdir()
    (package / "__init__.py").write_text("# one\n")
    monkeypatch.setattr("textbox_elmer.runtime.runs.results.PACKAGE", package)
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "One")
    git(tmp_path, "tag", "-a", "v1", "-m", "a tag must not take the commit's place")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert source_commit() == commit
    (package / "__init__.py").write_text("# two\n")
    assert source_commit() == f"{commit}-dirty"


def test_an_installed_package_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where the environment lies in somebody's repository."""
    package = tmp_path / "environment" / "textbox_elmer"
    package.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr("textbox_elmer.runtime.runs.results.PACKAGE", package)
    assert source_commit() is None
