"""Where the hub is, whether a name is looked up there, and how long a machine without network waits for that."""

import os
from functools import cache
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from huggingface_hub import constants

TIMEOUT = 5  # seconds


def hub_endpoint() -> str:
    """Return the hub's address: HF_ENDPOINT, whenever it was set, or huggingface.co."""
    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def hub_arguments(name_or_path: str) -> dict[str, Any]:
    """Return the arguments that let `from_pretrained` answer soon without network.

    A name that is no local folder is looked up in the local cache alone when the hub does not answer at once; left to
    itself, the hub's client would retry for half a minute per file.
    """
    if Path(name_or_path).is_dir() or _hub_answers():
        return {}
    return {"local_files_only": True}


@cache
def _hub_answers() -> bool:
    if constants.HF_HUB_OFFLINE:
        return False
    try:
        with urlopen(Request(hub_endpoint(), method="HEAD"), timeout=TIMEOUT):
            return True
    except HTTPError:  # an answer, if not a welcome one
        return True
    except (URLError, OSError, ValueError):
        return False
