"""Files that are costly to make: made once, found again by the content that they were made from."""

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import datasets

logger = logging.getLogger(__name__)

T = TypeVar("T")


def default_cache() -> Path:
    """Return the cache's folder, inside that of Hugging Face `datasets` (`HF_DATASETS_CACHE` moves both)."""
    return Path(datasets.config.HF_DATASETS_CACHE) / "textbox_elmer"


def content_key(*parts: Any) -> str:
    """Return a name for what is made from `parts`, which must be JSON values."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(json.dumps(part, sort_keys=True).encode())
        digest.update(b"\0")
    return digest.hexdigest()[:32]


def cached(
    name: str, cache_dir: Path | None, make: Callable[[], T], save: Callable[[T, Path], None], load: Callable
) -> T:
    """Return what the cache holds as `name`; else make it, and save it there for the next time.

    A folder is moved into place when it is complete, so a kill leaves nothing half-written and of two processes the
    first one wins. A folder that cannot be loaded is made again. A cache that cannot be written costs a warning.

    Args:
        save: writes the thing into an empty folder.
        load: reads it back from the folder.
    """
    folder = (cache_dir or default_cache()) / name
    if folder.is_dir():
        try:
            return load(folder)
        except Exception as error:  # whatever a damaged file makes its reader raise
            logger.warning("The cache %s is damaged (%s) and made anew.", folder, error)
            shutil.rmtree(folder, ignore_errors=True)
    made = make()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{name[:20]}-"))
        try:
            save(made, staging)
            os.replace(staging, folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return load(folder)
    except OSError as error:
        if folder.is_dir():  # another process was faster
            return load(folder)
        logger.warning("%s cannot be written (%s): going on without a cache.", folder.parent, error.strerror)
        return made
