"""How much the server takes on, and how long it waits."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What the server holds itself and its clients to.

    Attributes:
        max_wait_ms: how long a text waits for others to be written with, in milliseconds.
        max_batch_tokens: source tokens, with padding, that are written at once; a longer text is written alone.
        max_queue: texts that may wait; those of one request, too.
        max_body_bytes: size of a request.
        body_seconds: how long a client may take to send it.
        drain_seconds: how long what was taken may take when the server is asked to end.
    """

    max_wait_ms: float = 5
    max_batch_tokens: int = 4096
    max_queue: int = 256
    max_body_bytes: int = 2**20
    body_seconds: float = 30
    drain_seconds: int = 600
