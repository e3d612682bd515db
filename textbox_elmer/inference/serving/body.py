"""What a client sends and whether it is still there."""

import asyncio

from starlette.requests import ClientDisconnect, Request

from textbox_elmer.inference.serving.limits import Limits
from textbox_elmer.inference.serving.protocol import RefusedError

JSON = "application/json"
# Read and thrown away before a client is told that it sends too much: who is cut off while sending hears nothing.
THROWN_AWAY = 2**26


class GoneError(Exception):
    """The client has gone."""


async def read_body(request: Request, limits: Limits) -> bytes:
    """Read a request's body.

    Raises:
        RefusedError: it is no JSON by its type, too large, or too slow.
        GoneError: the client has gone before its end.
    """
    # A page of another site may send what is no JSON without asking; JSON its browser asks us for first.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise RefusedError(415, f"Send the request as {JSON}, and say so by the header Content-Type.")
    try:
        return await asyncio.wait_for(_read(request, limits.max_body_bytes), limits.body_seconds)
    except (asyncio.TimeoutError, TimeoutError):
        raise RefusedError(
            408, f"The request is not here after {limits.body_seconds:g} seconds: send faster."
        ) from None
    except ClientDisconnect:
        raise GoneError from None


async def until_gone(request: Request) -> None:
    """Return when the client of a request whose body is read has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _read(request: Request, most: int) -> bytes:
    kept, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= most:
            kept += chunk
        elif size > max(most, THROWN_AWAY):
            break
    if size > most:
        raise RefusedError(413, f"The request has more than {most:,} bytes: send fewer or shorter texts at a time.")
    return bytes(kept)
