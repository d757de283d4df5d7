"""An image registry that a node pulls from, and whose tags the test moves: the pull side of OCI's distribution API."""

import json
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO

from tests.support.closing import Closing

_INDEX = "application/vnd.oci.image.index.v1+json"


class Registry(Closing):
    """Serves the images of OCI archives under one repository name, over plain HTTP at `host`.

    `tags`: tag → digest of what it means now; assign to it to move a tag.
    """

    def __init__(self, host: str, repository: str) -> None:
        self.repository = repository
        self.tags: dict[str, str] = {}
        self._blobs: dict[str, bytes] = {}
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                kind, body = registry._find(self.path)
                digest = registry._digest(self.path)
                self.send_response(200 if body is not None else 404)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body or b"")))
                if digest:
                    self.send_header("Docker-Content-Digest", digest)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body or b"")

            do_HEAD = do_GET  # noqa: N815 - so it is named in http.server

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer((host, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """host:port, as images name it."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def add(self, tag: str, archive: Path) -> str:
        """The image of an OCI archive, under that tag; its digest."""
        with tarfile.open(archive) as files:
            (found,) = json.load(_file(files, "index.json"))["manifests"]
            for member in files.getmembers():
                folder, _, name = member.name.removeprefix("./").rpartition("/")
                if folder == "blobs/sha256" and member.isfile():
                    self._blobs[f"sha256:{name}"] = _file(files, member.name).read()
        self.tags[tag] = str(found["digest"])
        return self.tags[tag]

    def image(self, tag: str) -> str:
        """What a Deployment writes to have it."""
        return f"{self.address}/{self.repository}:{tag}"

    def introduce(self, registries: Path) -> None:
        """Tells a node's containerd, which keeps its registries in that folder, that this one speaks plain HTTP."""
        folder = registries / self.address
        folder.mkdir()
        # Without a section for a host containerd 1.6 takes the whole file for invalid, and HTTPS.
        (folder / "hosts.toml").write_text(
            f'[host."http://{self.address}"]\ncapabilities = ["pull", "resolve"]\n'
        )

    def _digest(self, path: str) -> str:
        asked = path.rpartition("/")[2]
        return self.tags.get(asked, asked if asked in self._blobs else "")

    def _find(self, path: str) -> tuple[str, bytes | None]:
        if path == "/v2/":
            return "application/json", b"{}"
        body = self._blobs.get(self._digest(path)) if f"/{self.repository}/" in path else None
        if body is not None and "/manifests/" in path:
            return str(json.loads(body).get("mediaType", _INDEX)), body
        return "application/octet-stream", body

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _file(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    found = archive.extractfile(name)
    assert found is not None, f"{name} of {archive.name} is no file"
    return found
