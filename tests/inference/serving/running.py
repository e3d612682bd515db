"""A server at a port, in this process."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from textbox_elmer.inference.serving.access import Access
from textbox_elmer.inference.serving.app import make_app
from textbox_elmer.inference.serving.limits import Limits

PATIENCE = 60  # seconds


@contextmanager
def running(*models: Any, access: Access | None = None, **limits: Any) -> Iterator[str]:
    """Serve models within the block; yields the address."""
    warm = threading.Event()
    app = make_app(models, Limits(**limits), access or Access(None, local=True), lambda _: warm.set())
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert warm.wait(PATIENCE)
            while not server.started:
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
    assert not thread.is_alive()
