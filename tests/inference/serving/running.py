"""A server at a port, in this process."""

from contextlib import AbstractContextManager
from typing import Any

from textbox_elmer.inference.serving.access import Access
from textbox_elmer.inference.serving.limits import Limits
from textbox_elmer.inference.serving.server import serving


def running(*models: Any, access: Access | None = None, **limits: Any) -> AbstractContextManager[str]:
    """Serve models within the block, by default to whoever is on this machine; yields the address."""
    return serving(models, Limits(**limits), access or Access(None, local=True))
