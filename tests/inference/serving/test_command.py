"""The command `serve`: a process from its first line to its last, and what it refuses."""

# ruff: noqa: E402 - the server's packages may be missing

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.inference.serving.packages import need

need()

import torch

from tests.inference.conftest import SRC_LEN
from textbox_elmer.cli import main
from textbox_elmer.inference.serving.command import KEY_VARIABLE, listen, names_of
from textbox_elmer.inference.serving.model import MKL, STEADY, sum_steadily

ROOT = Path(__file__).parents[3]
Refused = Callable[..., str]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture) -> Refused:
    """Run the command, which stops with status 2 and one sentence: returns it."""

    def run(*arguments: str, port: int = 0) -> str:
        capsys.readouterr()
        assert main(["serve", "--use_gpu=False", f"--port={port}", *arguments]) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        return told

    return run


@pytest.fixture
def started(elmer: Path) -> Iterator[tuple[subprocess.Popen, str]]:
    """The command at work, and its address; killed if the test has not ended it."""
    command = [sys.executable, "-m", "textbox_elmer", "serve", f"--model_path={elmer}", "--port=0", "--use_gpu=False"]
    process = subprocess.Popen(
        [*command, f"--src_len={SRC_LEN}", "--max_wait_ms=1500"], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    try:
        for line in process.stderr:
            if found := re.match(r"Ready at (http://127\.0\.0\.1:\d+): elmer\.$", line):
                break
        else:
            pytest.fail("the server ended")
        yield process, found[1]
    finally:
        process.kill()
        process.wait()


def ask(address: str, text: str) -> str:
    """Return what the model writes."""
    body = json.dumps({"prompt": text}).encode()
    request = urllib.request.Request(f"{address}/v1/completions", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)["choices"][0]["text"]


def test_sigterm_finishes_what_was_taken_and_refuses_new_work(
    started: tuple[subprocess.Popen, str], texts: list[str], written: list[str]
) -> None:
    process, address = started
    with urllib.request.urlopen(f"{address}/health", timeout=60) as response:
        assert json.load(response) == {"status": "ready"}
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(ask(address, texts[0])))
    asking.start()
    with urllib.request.urlopen(f"{address}/metrics", timeout=60) as response:
        told = response.read().decode()
    while "waiting_texts 1.0" not in told:  # it waits for others to be written with, 1.5 seconds
        with urllib.request.urlopen(f"{address}/metrics", timeout=60) as response:
            told = response.read().decode()
    process.send_signal(signal.SIGTERM)
    asking.join(60)
    assert answers == [written[0]]
    assert process.wait(60) == 128 + signal.SIGTERM
    assert process.stderr.read().splitlines()[-1] == "Terminated: every text that was taken is answered."
    with pytest.raises(OSError):
        ask(address, texts[0])


def test_a_port_in_use(refused: Refused, elmer: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(f"--model_path={elmer}", port=port)
    assert said.startswith(f"Error: Port {port} of 127.0.0.1 is in use or not yours")
    assert said.endswith("give another --port.\n")


def test_no_port(refused: Refused, elmer: Path) -> None:
    assert "must be a port from 0 to 65535, not '70000'" in refused(f"--model_path={elmer}", port=70000)


def test_an_address_of_another_machine(refused: Refused, elmer: Path) -> None:
    said = refused(f"--model_path={elmer}", "--host=192.0.2.1", "--no_auth")
    assert said.startswith("Error: Nothing can listen at '192.0.2.1'")


def test_no_model(refused: Refused, tmp_path: Path) -> None:
    assert "needs --model_path, e.g. textbox-elmer serve --model_path=saved/<run>" in refused()
    assert "nowhere" in refused(f"--model_path={tmp_path / 'nowhere'}")


def test_models_that_cannot_be_served(refused: Refused, elmer: Path, causal: Path, tmp_path: Path) -> None:
    """Positions without room, a tokenizer without a mask, texts drawn at random, options that do not suit."""
    lengths = ("--src_len=60", "--tgt_len=30")
    assert "64 positions" in refused(f"--model_path={causal}", "--model=GPT-2", *lengths)
    shutil.copytree(elmer, tmp_path / "elmer")
    settings = tmp_path / "elmer" / "tokenizer_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"mask_token": None}))
    assert "has no mask token" in refused(f"--model_path={tmp_path / 'elmer'}")
    drawn = refused(f"--model_path={elmer}", f"--src_len={SRC_LEN}", "--generation_kwargs={do_sample: true}")
    assert "draws its texts at random" in drawn
    blocked = refused(f"--model_path={elmer}", f"--src_len={SRC_LEN}", "--generation_kwargs={top_k: 3}")
    assert "generation_kwargs does not suit ELMER" in blocked


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host=0.0.0.0"], "Others reach 0.0.0.0: give a key by --api_key or the variable TEXTBOX_ELMER_API_KEY"),
        (["--api_key=k", "--no_auth"], "--api_key and --no_auth exclude each other"),
        (["--api_key="], "The key is printable ASCII"),
        (["--max_queue=0"], "must be a whole number above 0, not '0'"),
        (["--max_wait_ms=nan"], "must be milliseconds from 0 to 60000, not 'nan'"),
        (["--model_path=saved/x", "--model_path=saved/x"], "--model_path=saved/x is given twice"),
    ],
)
def test_wrong_use(refused: Refused, elmer: Path, arguments: list[str], said: str) -> None:
    assert said in refused(f"--model_path={elmer}", *arguments)


def test_the_key_may_come_from_the_environment(refused: Refused, elmer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "with blank ")
    assert "The key is printable ASCII" in refused(f"--model_path={elmer}", "--host=0.0.0.0")


def test_missing_packages(refused: Refused, elmer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textbox_elmer.inference.serving.command.PACKAGES", ("fastapi", "no_such_package"))
    assert '`serve` needs no_such_package: pip install "textbox-elmer[serve]".' in refused(f"--model_path={elmer}")


def test_models_have_names_of_their_own(tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "best", tmp_path / "b" / "best", tmp_path / "bart"]
    for path in paths:
        path.mkdir(parents=True)
    typed = [f"{path}" for path in paths]
    assert names_of(typed) == {typed[0]: typed[0], typed[1]: typed[1], "bart": typed[2]}
    assert names_of(["facebook/bart-base"]) == {"facebook/bart-base": "facebook/bart-base"}


def test_products_are_summed_steadily_unless_the_user_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MKL, raising=False)
    sum_steadily()
    assert os.environ.get(MKL) == STEADY.get(torch.backends.cpu.get_cpu_capability())
    monkeypatch.setenv(MKL, "COMPATIBLE")
    sum_steadily()
    assert os.environ[MKL] == "COMPATIBLE"


def test_two_servers_do_not_share_a_port() -> None:
    """Not even while neither accepts yet."""
    with listen("127.0.0.1", 0) as first, pytest.raises(Exception, match="in use"):
        listen("127.0.0.1", first.getsockname()[1])
