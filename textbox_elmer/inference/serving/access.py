"""Who may ask."""

import hmac
import re

from starlette.requests import Request

from textbox_elmer.inference.serving.addresses import is_loopback
from textbox_elmer.inference.serving.protocol import RefusedError

PORT = re.compile(r":\d*$")


class Access:
    """Lets in whoever has the key.

    Args:
        key: the key, or None if there is none.
        local: whether, without a key, those alone are let in who call this machine by a name of its own. Another
            site's page in a browser here would call it by that site's (DNS rebinding).
    """

    def __init__(self, key: str | None, local: bool) -> None:
        self._key, self._local = None if key is None else key.encode(), local

    async def __call__(self, request: Request) -> None:
        """Check a request.

        Raises:
            RefusedError: it may not ask.
        """
        if self._key is not None:
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._key):
                raise RefusedError(
                    401, "Give the server's key by the header Authorization: Bearer …", code="invalid_api_key"
                )
        elif self._local and not is_loopback(PORT.sub("", request.headers.get("host", ""))):
            raise RefusedError(
                403, "Without a key this server answers to 127.0.0.1 and localhost alone: start it with --api_key=…"
            )
