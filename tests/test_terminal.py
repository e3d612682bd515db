"""What a terminal shows: text from data, files and folder names never steers it."""

import io
import json
import logging
from pathlib import Path

import pytest
from rich.table import Table

from textbox_elmer.cli import main
from textbox_elmer.runtime.runs.logs import log_to_console, log_to_file
from textbox_elmer.runtime.runs.results import show_results
from textbox_elmer.terminal import reason_of, say, shown, table_console

TITLE = "\x1b]0;owned\x07"  # sets a window's title
HOSTILE = f"a{TITLE}[/bold][red]\u202eb:smile:\x9b2J\udcff"
SAFE = r"a\x1b]0;owned\x07[/bold][red]\u202eb:smile:\x9b2J\udcff"


@pytest.mark.parametrize("text", ["", "plain", "naïve – «är» 日本語", "👩‍👩‍👧 क्‍ष", "שלום"])
def test_plain_text_is_shown_as_it_is(text: str) -> None:
    assert shown(text) == text


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        (HOSTILE, SAFE),
        ("one\ntwo\r\tthree\u2028four", r"one\ntwo\r\tthree\u2028four"),
        ("\x00\x7f\x85", r"\x00\x7f\x85"),
        ("\u2067turned\u2069", r"\u2067turned\u2069"),
    ],
)
def test_what_steers_a_terminal_is_escaped(text: str, escaped: str) -> None:
    assert shown(text) == escaped


def test_lines_may_stay() -> None:
    assert shown("one\ntwo\tthree\r\n", lines=True) == "one\ntwo\tthree\\r\n"


def test_what_is_said_can_be_encoded(capfd: pytest.CaptureFixture) -> None:
    say(f"Written: {HOSTILE}")
    assert capfd.readouterr().out == f"Written: {SAFE}\n"


def test_a_reason_is_one_line() -> None:
    assert reason_of(ValueError("one\n  two")) == "one two"
    assert reason_of(ValueError()) == "ValueError"
    assert len(reason_of(ValueError("x" * 5000))) == 300


def test_tables_take_no_text_for_markup() -> None:
    written = io.StringIO()
    console = table_console(120, written)
    table = Table(f"{HOSTILE}1", title=f"{HOSTILE}2")
    table.add_row(f"{HOSTILE}3")
    console.print(table)
    console.print(f"{HOSTILE}4")
    for number in range(1, 5):
        assert f"{SAFE}{number}" in written.getvalue()
    assert not set(written.getvalue()) & set("\x1b\x07\u202e\x9b\udcff")


def test_a_test_s_end_shows_names_and_texts_as_they_are() -> None:
    written = io.StringIO()
    results = {
        "model": "ELMER",
        "dataset": HOSTILE,
        "metrics": {HOSTILE: 1.0},
        "decoding": {"batch_size": 1, "ms_per_example": 1.0},
        "mean_exit_layer": None,
        "mean_settled_layer": None,
        "copied_words": None,
        "distinct_texts": 1,
        "repeated_words": 0.0,
    }
    show_results(results, [HOSTILE], [[HOSTILE, HOSTILE]], [HOSTILE], table_console(120, written))
    assert written.getvalue().count(SAFE) == 6
    assert "\x1b" not in written.getvalue()


def test_logs_hold_no_escapes(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    log_to_console("info")
    log_to_file(tmp_path / "run.log")
    logging.getLogger("textbox_elmer.test").info("saw %s\nand more", HOSTILE)
    assert f"saw {SAFE}\nand more" in capfd.readouterr().err
    assert f"saw {SAFE}\nand more" in (tmp_path / "run.log").read_text()


def test_a_mistake_is_one_line_without_escapes(capsys: pytest.CaptureFixture) -> None:
    assert main([f"--model=ELMER{TITLE}\nError: forged", "--dataset=toy"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "\x1b" not in line


def test_folder_names_do_not_steer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"set{TITLE}[/bold]"
    (tmp_path / "dataset" / name).mkdir(parents=True)
    for file in ("train.src", "train.tgt", "valid.src", "valid.tgt"):
        (tmp_path / "dataset" / name / file).write_text("a text\n")
    assert main(["data", "list"]) == 0
    assert main(["data", "check", name]) == 0
    run = tmp_path / "saved" / name
    run.mkdir(parents=True)
    (run / "results.json").write_text(
        json.dumps({"model": f"M{TITLE}", "dataset": "xsum", "metrics": {}, "command": TITLE, "commit": TITLE})
    )
    assert main(["leaderboard", "xsum"]) == 0
    assert main(["leaderboard", "xsum", "--markdown"]) == 0
    (run / "results.json").write_text("{")
    assert main(["leaderboard", "xsum"]) == 0
    printed = "".join(capfd.readouterr())
    assert not set(printed) & set("\x1b\x07")
    assert r"set\x1b]0;owned\x07[/bold]" in printed


def test_a_board_s_title_is_no_markup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "properties" / "leaderboard").mkdir(parents=True)
    (tmp_path / "properties" / "leaderboard" / "toy.yaml").write_text(
        'title: "Toy[/bold]\\e]0;owned\\a"\ntask: "[/red]"\nmetrics: [bleu]\nsort: bleu\norder: descending\nrows: []\n'
    )
    assert main(["leaderboard"]) == 0
    assert main(["leaderboard", "toy"]) == 0
    printed = capfd.readouterr().out
    assert printed.count("Toy[/bold]") == 2
    assert "\x1b" not in printed
