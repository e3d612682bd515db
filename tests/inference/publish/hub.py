"""A local server that takes uploads as the hub does: repositories, small files in a commit, large ones beside it."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "hf_of_a_test"


@dataclass
class Hub:
    """What the server holds.

    Attributes:
        url: its address.
        repositories: whether each one is private, by name.
        files: the contents of the last commit, by path.
        large: contents that were uploaded before the commit, by their SHA-256.
        commits: the messages of all commits.
        breaks: how many uploads of large files fail before one is taken.
    """

    url: str = ""
    repositories: dict[str, bool] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    breaks: int = 0


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Keep quiet."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = self.path.split("?")[0]
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer({"error": "Invalid username or password."}, 401)
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif path == "/api/validate-yaml":
            self._answer({"errors": [], "warnings": []})
        elif path.endswith("/preupload/main"):
            modes = [(file["path"], file["path"].endswith(".safetensors")) for file in json.loads(body)["files"]]
            told = [
                {"path": name, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
                for name, large in modes
            ]
            self._answer({"files": told})
        elif path.endswith("/info/lfs/objects/batch"):
            self._answer({"transfer": "basic", "objects": [self._place(item) for item in json.loads(body)["objects"]]})
        elif path.endswith("/commit/main"):
            repository = path.removeprefix("/api/models/").removesuffix("/commit/main")
            self._commit(repository, [json.loads(line) for line in body.splitlines()])
        else:
            self._answer({"error": f"no {path}"}, 404)

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.hub.breaks:
            self.hub.breaks -= 1
            self._answer({"error": "storage is away"}, 400)
        else:
            self.hub.large[hashlib.sha256(content).hexdigest()] = content
            self._answer({})

    def _create(self, asked: dict) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        exists = name in self.hub.repositories
        self.hub.repositories.setdefault(name, asked.get("private", False) or asked.get("visibility") == "private")
        self._answer({"url": f"{self.hub.url}/{name}", "error": "it exists"}, 409 if exists else 200)

    def _place(self, item: dict) -> dict:
        if item["oid"] in self.hub.large:
            return item
        return item | {"actions": {"upload": {"href": f"{self.hub.url}/storage/{item['oid']}", "header": {}}}}

    def _commit(self, repository: str, lines: list[dict]) -> None:
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                self.hub.commits.append(value["summary"])
            elif line["key"] == "file":
                self.hub.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.hub.files[value["path"]] = self.hub.large[value["oid"]]
        self._answer({"commitUrl": f"{self.hub.url}/{repository}/commit/{'1' * 40}", "commitOid": "1" * 40})

    def _answer(self, content: dict, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving() -> Iterator[Hub]:
    """Serve until the block is left."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
