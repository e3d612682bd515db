"""A local server that answers as the hub does for one repository's files, and misbehaves on demand."""

import gzip
import hashlib
import io
import re
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SPLITS = {"train": 3, "valid": 2, "test": 1}


def dataset_files(prefix: str = "samsum/") -> dict[str, bytes]:
    """A small dataset as an archive holds it."""
    return {
        f"{prefix}{split}.{side}": "".join(f"{split} {side} {i}\n" for i in range(size)).encode()
        for split, size in SPLITS.items()
        for side in ("src", "tgt")
    }


def archive(files: dict[str, bytes], *further: tarfile.TarInfo) -> bytes:
    """A .tgz of some files, then of entries without content."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        for entry in further:
            tar.addfile(entry)
    return content.getvalue()


def packed(tar: bytes) -> bytes:
    """Compressed, as if it were an archive."""
    return gzip.compress(tar)


@dataclass
class Hub:
    """What the server offers and how it fails.

    Attributes:
        files: content by path, e.g. /datasets/RUCAIBox/Summarization/resolve/main/samsum.tgz.
        sha256: what it claims where that is not the content's checksum.
        breaks_after: bytes that a download may have before the connection breaks; None: all.
        ignores_ranges: whether it sends the whole file whatever is asked.
        status: what it answers to everything, if not what belongs there.
        extra: bytes sent beyond what was announced.
        downloads: what was asked for in downloads, the `Range` header or "".
        url: its address.
        storage: another host's address, to which downloads are redirected.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    sha256: str | None = None
    breaks_after: int | None = None
    ignores_ranges: bool = False
    status: int | None = None
    extra: bytes = b""
    downloads: list[str] = field(default_factory=list)
    url: str = ""
    storage: str = ""

    def publish(self, repository: str, name: str, content: bytes) -> None:
        """Offer a file of a dataset repository."""
        self.files[f"/datasets/{repository}/resolve/main/{name}"] = content


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *args: object) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        content = self.hub.files.get(self.path)
        if self.hub.status or content is None:
            self._refuse()
            return
        # As on the hub, large files are redirected to another place, which has an ETag of its own.
        self.send_response(302)
        self.send_header("Location", f"{self.hub.storage}/blobs{self.path}")
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("X-Linked-ETag", f'"{self.hub.sha256 or hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("ETag", '"another"')
        self.end_headers()

    def do_GET(self) -> None:
        if not self.path.startswith("/blobs/"):
            if self.hub.status or self.path not in self.hub.files:
                self._refuse()
                return
            self.send_response(302)
            self.send_header("Location", f"{self.hub.storage}/blobs{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = self.hub.files[self.path.removeprefix("/blobs")]
        asked = self.headers.get("Range", "")
        self.hub.downloads.append(asked)
        start = 0 if self.hub.ignores_ranges or not asked else int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
        body = content[start:] + self.hub.extra
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        limit = self.hub.breaks_after
        if limit is None:
            self.wfile.write(body)
            return
        self.wfile.write(body[:limit])
        self.wfile.flush()
        self.close_connection = True
        self.connection.close()

    def _refuse(self) -> None:
        status = self.hub.status or 404
        self.send_response(status)
        if status == 404:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Run the server on a free port of this machine."""
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    hub.storage = f"http://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
