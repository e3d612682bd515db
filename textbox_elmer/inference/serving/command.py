"""`serve`: trained models behind an address."""

import argparse
import errno
import os
import socket
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from textbox_elmer.arguments import Parser, whole
from textbox_elmer.errors import UserError
from textbox_elmer.inference.options import add_model_options, read_changes
from textbox_elmer.inference.serving.addresses import is_loopback
from textbox_elmer.inference.serving.limits import Limits
from textbox_elmer.terminal import reason_of

KEY_VARIABLE = "TEXTBOX_ELMER_API_KEY"
PACKAGES = ("fastapi", "uvicorn", "prometheus_client")
BACKLOG = 2048  # connections that the system holds until they are accepted
LAST_PORT, LONGEST_WAIT = 65535, 60_000
DESCRIPTION = """\
Answer OpenAI's completions (POST /v1/completions) by trained models, and show a page to try them on. Texts that come
together are written in one batch; an answer is the same alone and in any. SIGTERM finishes what was taken."""
EXAMPLE = "textbox-elmer serve --model_path=saved/<run>"


def add_parser(commands: Any) -> Parser:
    """Add `serve` to a parser's commands, and return its parser."""
    parser = commands.add_parser(
        "serve",
        help="answer OpenAI's completions by trained models, with a page to try them on",
        description=DESCRIPTION,
        example=EXAMPLE,
    )
    add = parser.add_argument
    add(
        "--model_path",
        required=True,
        action="append",
        metavar="PATH",
        help="a run's folder, a checkpoint's, or a name on the hub; once for each model to be served",
    )
    add("--host", default="127.0.0.1", metavar="ADDRESS", help="the address to listen on (default: %(default)s)")
    add("--port", type=_port, default=8000, metavar="N", help="the port; 0 takes any free one (default: %(default)s)")
    add("--api_key", metavar="KEY", help=f"the key that clients must give (default: the variable {KEY_VARIABLE})")
    add("--no_auth", action="store_true", help="let everybody in who reaches the address")
    add("--strict", action="store_true", help="refuse a text that is longer than src_len instead of cutting it")
    add(
        "--max_wait_ms",
        type=_milliseconds,
        default=5.0,
        metavar="MS",
        help="how long a text waits for others to be written with (default: %(default)g)",
    )
    for name, default, meaning in (
        ("max_batch_tokens", 4096, "source tokens that are written at once"),
        ("max_queue", 256, "texts that may wait; more are answered by 429"),
        ("max_body_bytes", 2**20, "size of a request; larger ones are answered by 413"),
    ):
        add(f"--{name}", type=whole, default=default, metavar="N", help=f"{meaning} (default: {default})")
    add_model_options(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Do what a parsed command line asks for, until the process is asked to end, and return the exit status.

    Raises:
        UserError: whatever the user can put right.
    """
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise UserError(f'`serve` needs {", ".join(missing)}: pip install "textbox-elmer[serve]".')
    from textbox_elmer.inference.serving import server  # needs those packages

    key = _key(arguments)
    names = names_of(arguments.model_path)
    limits = Limits(arguments.max_wait_ms, arguments.max_batch_tokens, arguments.max_queue, arguments.max_body_bytes)
    changes = read_changes(arguments)
    with listen(arguments.host, arguments.port) as listener:
        models = server.load_models(names, arguments.model, arguments.strict, changes)
        return server.serve(models, listener, limits, key, local=not arguments.no_auth)


def names_of(paths: Sequence[str]) -> dict[str, str]:
    """Return what models are called, with their paths: by their folders' names, or as they were typed.

    Raises:
        UserError: one is given twice.
    """
    if twice := [path for path, count in Counter(paths).items() if count > 1]:
        raise UserError(f"--model_path={twice[0]} is given twice: once is enough.")
    folders = {path: Path(path).resolve().name if os.path.isdir(path) else path for path in paths}
    often = Counter(folders.values())
    return {path if often[name] > 1 else name: path for path, name in folders.items()}


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        UserError: the address is none of this machine's, or the port is taken or not ours to take.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)  # at once: until then, another server could have the port too
        except OSError:
            listener.close()
            raise
    except (OSError, UnicodeError) as error:
        if isinstance(error, OSError) and error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise UserError(
                f"Port {port} of {host} is in use or not yours ({error.strerror}): give another --port."
            ) from None
        raise UserError(
            f"Nothing can listen at {host!r} ({reason_of(error)}): give an address of this machine."
        ) from None
    return listener


def _key(arguments: argparse.Namespace) -> str | None:
    key = arguments.api_key if arguments.api_key is not None else os.environ.get(KEY_VARIABLE)
    if arguments.no_auth:
        if arguments.api_key is not None:
            raise UserError("--api_key and --no_auth exclude each other: give one of them.")
        return None
    if key is None and not is_loopback(arguments.host):
        raise UserError(
            f"Others reach {arguments.host}: give a key by --api_key or the variable {KEY_VARIABLE}, or let everybody "
            "in by --no_auth."
        )
    if key is not None and not (key.isascii() and key.isprintable() and key.strip() == key != ""):
        raise UserError("The key is printable ASCII characters, without blanks around: give another --api_key.")
    return key


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > LAST_PORT:
        raise argparse.ArgumentTypeError(f"must be a port from 0 to {LAST_PORT}, not {text!r}")
    return int(text)


def _milliseconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= LONGEST_WAIT:
        raise argparse.ArgumentTypeError(f"must be milliseconds from 0 to {LONGEST_WAIT}, not {text!r}")
    return value
