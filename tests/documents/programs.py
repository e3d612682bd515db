"""What the documents' commands run in the tests: the same command line, smaller, in this process."""

import ast
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from runpy import run_module
from unittest.mock import patch

import pytest

from textbox_elmer.cli import main

REPOSITORY = Path(__file__).parents[2]
# Options that stand in for what is typed, or are added to a command that begins with these words.
MODEL, ROWS = ("--layers=2", "--d_model=128"), "--rows=bart,soft"
SMALLER: dict[tuple[str, ...], tuple[str, ...]] = {
    ("bench", "latency"): (*MODEL, "--vocab_size=300", "--rounds=1", "--shapes=pc", "--batch_sizes=1", ROWS),
    ("bench", "training"): (*MODEL, "--vocab_size=300", "--batch_size=4", "--rounds=1"),
    ("bench", "generate"): (*MODEL, "--texts=8", "--batch_size=4", "--rounds=1"),
    ("bench", "serve"): (*MODEL, "--vocab_size=300", "--clients=8", "--seconds=0.1"),
    ("bench", "approximations"): ("--examples=4", "--exit_mode=hard"),  # no export to int8
    ("bench", "exits"): ("--examples=4", "--rounds=1", "--out=exits.json", "--plot=exits.svg"),
    ("compare",): ("--resamples=10",),
    ("export",): ("--canvas=64",),
    ("benchmarks.quality_latency",): ("--examples=4", "--out=quality_latency.csv"),
    ("benchmarks.int8_layers",): (*MODEL, "--vocab_size=300", "--rounds=1", "--shapes=pc"),
    ("benchmarks.ablation",): ("--layers=1", "--d_model=16", "--steps=2", "--rows=dag-mask-copy,bart"),
}
# Of a run, only where they are typed.
FEWER = {"--max_steps": "2", "--valid_steps": "1", "--epochs": "1"}


def textbox_elmer(arguments: Sequence[str]) -> int:
    """Run our command line in small."""
    return main(_small(arguments))


def python(arguments: Sequence[str]) -> int:
    """Run `run_textbox.py` or one of our modules."""
    if arguments[0] == "run_textbox.py":
        return textbox_elmer(arguments[1:])
    if arguments[:2] == ["-m", "textbox_elmer"]:
        return textbox_elmer(arguments[2:])
    module, *options = _small(arguments[1:])
    with patch.object(sys, "argv", [module, *options]), pytest.raises(SystemExit) as ended:
        run_module(module, run_name="__main__")
    return ended.value.code


def _small(arguments: Sequence[str]) -> list[str]:
    words = [_fewer(word) for word in arguments]
    for begins, options in SMALLER.items():
        if tuple(words[: len(begins)]) == begins:
            names = {option.partition("=")[0] for option in options}
            words = [word for word in words if word.partition("=")[0] not in names] + list(options)
    return words


def _fewer(word: str) -> str:
    name, equals, _ = word.partition("=")
    return f"{name}={FEWER[name]}" if equals and name in FEWER else word


def pip(arguments: Sequence[str]) -> int:
    """Install nothing: see that the extras that are asked for are those of setup.py."""
    command, asked = arguments
    assert command == "install"
    if package := re.fullmatch(r"(?:\.|textbox-elmer)(?:\[(?P<extras>[\w,-]+)\])?", asked):
        extras = set((package["extras"] or "").split(",")) - {""}
        offered = re.search(r"extras_require=(\{.+?\n    \})", (REPOSITORY / "setup.py").read_text(), re.DOTALL)[1]
        assert extras <= ast.literal_eval(offered).keys()
    return 0


def make(arguments: Sequence[str]) -> int:
    """Let make say what it would do."""
    return subprocess.run(["make", "-n", *arguments], cwd=REPOSITORY, stdout=subprocess.DEVNULL).returncode


def echo(arguments: Sequence[str]) -> int:
    """Write the arguments."""
    print(*arguments)
    return 0


def cat(arguments: Sequence[str]) -> int:
    """Write files."""
    for name in arguments:
        sys.stdout.write(Path(name).read_text(encoding="utf-8"))
    return 0


PROGRAMS = {"textbox-elmer": textbox_elmer, "python": python, "pip": pip, "make": make, "echo": echo, "cat": cat}
