"""Loading the models and running the server until it is asked to end."""

import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI

from textbox_elmer.errors import UserError
from textbox_elmer.inference.serving.access import Access
from textbox_elmer.inference.serving.addresses import is_loopback
from textbox_elmer.inference.serving.app import make_app
from textbox_elmer.inference.serving.limits import Limits
from textbox_elmer.inference.serving.model import ServedModel, sum_steadily
from textbox_elmer.inference.writer import TextWriter, writer_config
from textbox_elmer.runtime.runs.logs import log_to_console
from textbox_elmer.runtime.trained import load_trained
from textbox_elmer.terminal import reason_of, say
from textbox_elmer.termination import saying

PATIENCE = 600  # seconds until a server in the background is warm, or has ended
INTERRUPTED = 130  # the exit status of what Ctrl-C ends
ANSWERED = "every text that was taken is answered."


def load_models(
    paths: Mapping[str, str], model: str | None, strict: bool, changes: dict[str, Any]
) -> list[ServedModel]:
    """Load models to be served.

    Args:
        paths: where they are, by their names.
        model: what `--model` calls them, where the checkpoints do not say it.
        strict: whether too long texts are refused.
        changes: values of the configuration in place of theirs.

    Raises:
        UserError: one is missing or damaged, or cannot write by these values.
    """
    log_to_console("warning")
    sum_steadily()
    configs = {name: writer_config(path, model, **changes) for name, path in paths.items()}
    return [ServedModel(name, TextWriter(load_trained(config), strict=strict)) for name, config in configs.items()]


def serve(models: Sequence[ServedModel], listener: socket.socket, limits: Limits, key: str | None, local: bool) -> int:
    """Serve models on a listening socket, and return the exit status when that is over.

    Args:
        key: what clients must give, if anything.
        local: whether those alone may ask without a key who call this machine by a name of its own.

    Raises:
        UserError: a model cannot write as much at once as `limits` allow.
    """
    host, port = listener.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    faults: list[Exception] = []

    def tried(fault: Exception | None) -> None:
        if fault is None:
            say(f"Ready at {address}: {', '.join(model.name for model in models)}.", sys.stderr)
        else:
            faults.append(fault)
            server.should_exit = True

    server = _server(make_app(models, limits, Access(key, local and is_loopback(host)), tried), limits)
    try:
        with saying(ANSWERED):
            server.run(sockets=[listener])
    except KeyboardInterrupt:
        say(f"Interrupted: {ANSWERED}", sys.stderr)
        return INTERRUPTED
    if faults:
        raise UserError(
            f"A model cannot write --max_batch_tokens={limits.max_batch_tokens} at once ({reason_of(faults[0])}): give "
            "fewer."
        ) from faults[0]
    return 0


@contextmanager
def serving(models: Sequence[ServedModel], limits: Limits, access: Access) -> Iterator[str]:
    """Serve models on a thread of this process within the block; yields the address, when they are warm."""
    warm, faults = threading.Event(), []

    def tried(fault: Exception | None) -> None:
        faults.append(fault)
        warm.set()

    server = _server(make_app(models, limits, access, tried), limits)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            if not warm.wait(PATIENCE) or faults[0] is not None:
                raise RuntimeError(f"the models do not become warm: {faults}")
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(PATIENCE)


def _server(app: FastAPI, limits: Limits) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,  # its own would close all handlers of the process, whoever made them
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="on",
            timeout_graceful_shutdown=limits.drain_seconds,
        )
    )
