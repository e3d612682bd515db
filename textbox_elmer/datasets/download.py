"""Downloading one of TextBox's archives from the hub: resumed, bounded, and compared with the hub's checksum."""

import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from http.client import PARTIAL_CONTENT
from pathlib import Path

from huggingface_hub import constants, get_hf_file_metadata, get_session, hf_hub_url
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HTTPError, RepositoryNotFoundError
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status
from tqdm import tqdm

from textbox_elmer.errors import UserError
from textbox_elmer.files import open_own
from textbox_elmer.hub import hub_endpoint
from textbox_elmer.terminal import reason_of

_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHUNK = 1 << 20  # bytes


@dataclass(frozen=True)
class Published:
    """A file on the hub.

    Attributes:
        url: where it is.
        name: what it is called there.
        size: in bytes.
        sha256: its checksum, 64 hexadecimal digits.
    """

    url: str
    name: str
    size: int
    sha256: str


def look_up(repository: str, name: str) -> Published:
    """Ask the hub for a file's size and checksum.

    Raises:
        UserError: the hub cannot be reached, has no such file, or names no checksum for it.
    """
    url = hf_hub_url(repository, name, repo_type="dataset", endpoint=hub_endpoint())
    try:
        found = get_hf_file_metadata(url, endpoint=hub_endpoint())
    except (RepositoryNotFoundError, EntryNotFoundError):
        raise UserError(f"{hub_endpoint()} has no {name} in {repository}: it may have been withdrawn.") from None
    except (HTTPError, OSError) as error:
        raise UserError(
            f"{hub_endpoint()} cannot be reached ({_reason(error)}): connect this machine, name a mirror by "
            f"HF_ENDPOINT, or fetch {name} of the dataset repository {repository} elsewhere and unpack it here."
        ) from None
    checksum = found.etag or ""
    if not found.size or not _SHA256.fullmatch(checksum):
        raise UserError(f"{hub_endpoint()} names no size and SHA-256 for {name}, so it is not downloaded.")
    return Published(url, name, found.size, checksum)


def part_of(published: Published, folder: Path) -> Path:
    """Return the hidden file of a folder that a file is downloaded into."""
    # The checksum in the name keeps parts of two versions apart.
    return folder / f".{published.name}.{published.sha256[:16]}.part"


def download(published: Published, folder: Path) -> Path:
    """Download a file into a hidden file of `folder`, going on where an earlier download broke off.

    What has arrived stays there when the connection breaks, the disk is full or the user interrupts; a file that
    arrived whole but wrong does not.

    Raises:
        UserError: the connection broke, the disk is too full, or the checksum is not the hub's.
    """
    path = part_of(published, folder)
    present = path.lstat().st_size if os.path.lexists(path) else 0
    if present > published.size:
        path.unlink()
        present = 0
    free = shutil.disk_usage(folder).free
    if published.size - present > free:
        raise UserError(
            f"{published.name} needs {_megabytes(published.size - present)} MB in {str(folder)!r}, but "
            f"{_megabytes(free)} MB are free there: make room, or choose another --data_path."
        )
    try:
        _fetch(published, path, present)
    except (HTTPError, OSError) as error:
        raise UserError(_broken_off(published, path, error)) from None
    if _sha256(path) != published.sha256:
        path.unlink()
        raise UserError(
            f"{published.name} arrived with another SHA-256 than {hub_endpoint()} names, so it was deleted: "
            "repeat the command to download it afresh."
        )
    return path


def _fetch(published: Published, path: Path, present: int) -> None:
    """Append to a file of `present` bytes what it lacks.

    The hub's own client would throw away up to 10 MB when a connection breaks, and begin anew in every process.
    """
    headers = build_hf_headers() | {"Accept-Encoding": "identity"}
    if present == published.size:
        return
    if present:
        headers["Range"] = f"bytes={present}-"
    with get_session().stream(
        "GET", published.url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT
    ) as response:
        hf_raise_for_status(response)
        # A server that knows no ranges answers 200 and sends all of it.
        arrived = present if response.status_code == PARTIAL_CONTENT else 0
        with (
            open_own(path) as file,
            tqdm(
                total=published.size,
                initial=arrived,
                desc=f"Downloading {published.name}",
                unit="B",
                unit_scale=True,
                disable=None,
            ) as progress,
        ):
            file.truncate(arrived)
            for chunk in response.iter_bytes():
                arrived += len(chunk)
                if arrived > published.size:
                    file.truncate(0)
                    raise OSError("the server sends more than it announced")
                file.write(chunk)
                progress.update(len(chunk))
    if arrived < published.size:
        raise OSError("the server sent less than it announced")


def _broken_off(published: Published, path: Path, error: Exception) -> str:
    arrived = path.stat().st_size if path.exists() else 0
    if not arrived:
        path.unlink(missing_ok=True)
    return (
        f"The download of {published.name} broke off at {_megabytes(arrived)} of {_megabytes(published.size)} MB "
        f"({_reason(error)}): put that right and repeat the command, which goes on from there."
    )


def _reason(error: Exception) -> str:
    if isinstance(error, HfHubHTTPError):
        return f"it answers {error.response.status_code}"
    return reason_of(error)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f}"
