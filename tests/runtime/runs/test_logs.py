"""A run's log file: lines as on the console, no link followed, no traceback when the disk is full."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import full_disk
from textbox_elmer.errors import UserError
from textbox_elmer.runtime.runs.logs import PACKAGE, log_to_console, log_to_file

logger = logging.getLogger(f"{PACKAGE}.test")


@pytest.fixture(autouse=True)
def console() -> Iterator[None]:
    """Messages on the console, and nowhere when the test has ended."""
    log_to_console("info")
    yield
    log_to_console("info")


def test_lines_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    path.write_text("before\n")
    log_to_file(path)
    logger.info("one é \udcff")
    assert path.read_text(encoding="utf-8").splitlines()[0] == "before"
    assert path.read_text(encoding="utf-8").endswith(" INFO one é \\udcff\n")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "run.log").symlink_to("victim")
    with pytest.raises(UserError, match=r"run.log' is a link or no regular file"):
        log_to_file(tmp_path / "run.log")
    assert (tmp_path / "victim").read_text() == "precious"


def test_a_folder_in_the_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.log").mkdir()
    with pytest.raises(UserError, match=r"run.log' cannot be written \(Is a directory\)"):
        log_to_file(tmp_path / "run.log")


def test_a_full_disk_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with full_disk():
        log_to_file(tmp_path / "run.log")
        logger.info("one")
        logger.info("two")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == [
        "INFO one",
        f"WARNING {tmp_path / 'run.log'} cannot be written (File too large): going on without it.",
        "INFO two",
    ]
