"""The little of a shell that documents need: words, pipes, files to read and write, variables before a command."""

import io
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from unittest.mock import patch

Program = Callable[[list[str]], int]
SIGNS = "|<>"


def commands(text: str) -> list[str]:
    """Return the commands of a block: its lines, those that end in a backslash put together, without comments."""
    return [line for line in text.replace("\\\n", " ").splitlines() if shlex.split(line, comments=True)]


def run(command: str, programs: Mapping[str, Program]) -> None:
    """Run a command, its programs one after the other, in the working directory.

    Args:
        programs: what each name runs; it is given its arguments, reads `sys.stdin`, writes to `sys.stdout`, and
            returns an exit status.

    Raises:
        AssertionError: an exit status other than 0, or a program that is not among these.
    """
    lexer = shlex.shlex(command, posix=True, punctuation_chars=SIGNS)
    lexer.whitespace_split = True
    stages: list[list[str]] = [[]]
    files: dict[str, str] = {}
    words = iter(list(lexer))
    for word in words:
        if word == "|":
            stages.append([])
        elif word in ("<", ">"):
            files[word] = next(words)
        else:
            assert not set(word) <= set(SIGNS), f"{word} is more shell than tests/documents/shell.py knows"
            stages[-1].append(word)
    data = Path(files["<"]).read_bytes() if "<" in files else b""
    for stage in stages:
        data = _output(stage, data, programs)
    if ">" in files:
        Path(files[">"]).write_bytes(data)
    else:
        print(data.decode(), end="")


def _output(words: list[str], data: bytes, programs: Mapping[str, Program]) -> bytes:
    """Run one program and return what it wrote."""
    variables = {}
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        variables[name] = value
    assert words[0] in programs, (
        f"no program {words[0]!r} in tests/documents/programs.py: teach it there, or say before the block "
        "<!-- not run: why -->"
    )
    source = io.TextIOWrapper(io.BufferedReader(io.BytesIO(data)), encoding="utf-8")
    written = io.BytesIO()
    target = io.TextIOWrapper(written, encoding="utf-8", write_through=True)
    with patch.dict(os.environ, variables), patch.object(sys, "stdin", source), redirect_stdout(target):
        status = programs[words[0]](words[1:])
    assert not status, f"exit status {status}"
    return written.getvalue()
