"""Files that are costly to make: made once, found again by the content that they were made from."""

import hashlib
import json
import logging
import os
import shutil
import uuid
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
        for item in part if isinstance(part, list) else [part]:  # a corpus is never held a second time
            digest.update(json.dumps(item, sort_keys=True).encode() + b"\n")
        digest.update(b"\0")
    return digest.hexdigest()[:32]


def cached(
    name: str,
    cache_dir: Path | None,
    make: Callable[[], T],
    save: Callable[[T, Path], object],
    load: Callable[[Path], T],
) -> T:
    """Return what the cache holds as `name`; else make it, and save it there for the next time.

    A folder is moved into place when it is complete, so a kill leaves nothing half-written and of two processes the
    first one wins. A folder that cannot be loaded is made again. A cache that cannot be written costs a warning.

    Args:
        save: writes the thing into an empty folder.
        load: reads it back from the folder; raises whatever it likes if that is damaged.
    """
    folder = (cache_dir or default_cache()) / name
    if os.path.isdir(folder):  # unlike Path.is_dir, this raises nothing where the user may not look
        try:
            return load(folder)
        except Exception as error:  # whatever a damaged file makes its reader raise
            logger.warning("The cache %s is damaged (%s) and made anew.", folder, error)
            shutil.rmtree(folder, ignore_errors=True)
    made = make()
    try:
        _publish(made, save, folder)
        return load(folder)
    except Exception as error:  # a full disk, say, for which the tokenizers' library raises a plain Exception
        logger.warning("The cache %s cannot be written (%s): going on without it.", folder.parent, error)
        return made


def _publish(made: T, save: Callable[[T, Path], object], folder: Path) -> None:
    # Not of the module tempfile, whose folders only their owner can read: a group may share its cache.
    staging = folder.with_name(f".{folder.name[:20]}-{uuid.uuid4().hex}")
    staging.mkdir(parents=True)
    try:
        save(made, staging)
        os.replace(staging, folder)
    except OSError:
        if not os.path.isdir(folder):  # it is one when another process was faster
            raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
