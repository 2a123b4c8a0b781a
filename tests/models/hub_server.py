"""A hub on loopback: answers as the Hugging Face hub does, and breaks when it is told to."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REPO = "owner/Tiny-GGUF"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
_RESOLVE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")


@dataclass
class FakeHub:
    """files: what the repository holds. The other fields say how it misbehaves; seen: the requests, with Range."""

    files: dict[str, bytes] = field(default_factory=dict)
    url: str = ""
    seen: list[tuple[str, str, str | None]] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    refuse: tuple[int, str] | None = None
    sha256: str | None = None
    cut_at: int | None = None
    ignores_ranges: bool = False
    states_checksums: bool = True
    renamed_from: str | None = None
    gate: threading.Event | None = None

    def ranges(self) -> list[str | None]:
        """The Range header of each GET of a file, in order."""
        return [ranged for method, path, ranged in self.seen if method == "GET" and "/resolve/" in path]


@contextlib.contextmanager
def running(hub: FakeHub) -> Iterator[FakeHub]:
    """The hub, listening on a free port of loopback."""

    class Handler(_Handler):
        pass

    Handler.hub = hub
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        hub = self.hub
        hub.seen.append((self.command, self.path, self.headers["Range"]))
        hub.tokens.add(self.headers["Authorization"])
        if hub.refuse:
            status, code = hub.refuse
            self.reply(status, {"X-Error-Code": code} if code else {})
        elif hub.renamed_from and hub.renamed_from in self.path:
            self.reply(307, {"Location": self.path.replace(hub.renamed_from, REPO)})
        elif self.path == f"/api/models/{REPO}":
            names = [{"rfilename": name} for name in [*hub.files, "README.md"]]
            self.reply(200, {}, json.dumps({"siblings": names}).encode())
        elif (match := _RESOLVE.fullmatch(self.path)) and match["repo"] == REPO and match["file"] in hub.files:
            self.file(hub.files[match["file"]])
        else:
            self.reply(404, {"X-Error-Code": "EntryNotFound" if match and match["repo"] == REPO else "RepoNotFound"})

    def file(self, content: bytes) -> None:
        hub = self.hub
        sha256 = hub.sha256 or hashlib.sha256(content).hexdigest()
        stated = {"X-Repo-Commit": COMMIT, "X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(content))}
        headers = stated if hub.states_checksums else {"ETag": '"abc"'}
        if self.command == "HEAD":
            # As the hub does: a redirect to another host, whose headers say what the file is.
            self.reply(302, {**headers, "Location": "http://files.invalid/blob"})
            return
        if hub.gate:
            hub.gate.wait()
        ranged = self.headers["Range"]
        start = int(ranged.removeprefix("bytes=").rstrip("-")) if ranged and not hub.ignores_ranges else 0
        if start:
            headers = {**headers, "Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        self.reply(206 if start else 200, headers, content[start:], until=hub.cut_at)

    def reply(self, status: int, headers: dict[str, str], body: bytes = b"", until: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[:until])
        if until is not None:
            self.close_connection = True
