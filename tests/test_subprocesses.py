"""Runs in processes of their own: what they run is the package, never what lies in the working folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from textbox_elmer.subprocesses import REPOSITORY, environment, run_command

PLANTED = ("yaml", "rich", "tqdm", "runpy", "textbox_elmer", "torch")


def test_the_working_folder_is_not_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PLANTED:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name}.py of the working folder was run')\n")
    monkeypatch.setenv("PYTHONPATH", f"{os.pathsep}/nowhere")  # whose empty entry means the working folder
    done = subprocess.run(
        run_command(["--model=ELMR", "--dataset=toy"]),
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.startswith("Error: There is no model called 'ELMR'. Did you mean ELMER?")
    assert done.returncode == 2


def test_nor_by_the_command_as_users_type_it(tmp_path: Path) -> None:
    """What Python itself imports before the package is beyond us; it is little, and yaml is not of it."""
    for name in ("yaml", "rich", "tqdm", "torch"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name}.py of the working folder was run')\n")
    done = subprocess.run(
        [sys.executable, "-m", "textbox_elmer", "--model=ELMR", "--dataset=toy"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.startswith("Error: There is no model called 'ELMR'. Did you mean ELMER?")
