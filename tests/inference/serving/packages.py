"""What the server needs beside the rest: tests of it are skipped where that is missing."""

import pytest

from textbox_elmer.inference.serving.command import PACKAGES

REASON = "needs the server's packages: pip install -r requirements-extras.txt"


def need(*names: str) -> None:
    """Skip the module that calls this before its other imports, where a package is missing."""
    for name in (*PACKAGES, *names):
        pytest.importorskip(name, reason=REASON)
