"""Downloads resume, try all mirrors, and are checked by their sha256."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from monge.data.download import get
from monge.data.sets.idx import Remote
from monge.errors import MongeError

PAYLOAD = os.urandom(300_000)


class Mirror(BaseHTTPRequestHandler):
    """Serves ranges of a file; /broken/ serves only half of it, /wrong/ serves other content."""

    def do_GET(self) -> None:
        body = PAYLOAD[::-1] if self.path.startswith("/wrong") else PAYLOAD
        start = int(self.headers.get("Range", "bytes=0-")[6:].split("-")[0])
        if start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        rest = body[start:]
        self.wfile.write(rest[: len(rest) // 2] if self.path.startswith("/broken") else rest)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def mirror() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_download_resumes_tries_all_mirrors_and_checks_sha256(mirror: str, tmp_path: Path) -> None:
    files = {"file.gz": hashlib.sha256(PAYLOAD).hexdigest()}
    remote = Remote(files, (f"{mirror}/wrong/", f"{mirror}/broken/", f"{mirror}/good/"))
    folder = get("thing", tmp_path, remote)
    assert (folder / "file.gz").read_bytes() == PAYLOAD
    assert not list(folder.glob("*.part"))
    # an interrupted download that is complete already
    (folder / "file.gz").rename(folder / "file.gz.part")
    assert get("thing", tmp_path, Remote(files, (f"{mirror}/good/",))).is_dir()
    with pytest.raises(MongeError, match=r"could not get other.gz; tried .*sha256 is"):
        get("thing", tmp_path, Remote({"other.gz": "0" * 64}, (f"{mirror}/good/",)))
