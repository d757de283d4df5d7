"""The image of the program that holds a pod's namespaces, as an archive in the OCI layout."""

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path
from typing import Any

from .settings import PAUSE

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def write(program: Path, archive: Path) -> None:
    """Write `archive` with the one static `program` in it, under the name PAUSE."""
    with tarfile.open(archive, "w") as out:
        blobs = _Blobs(out)
        layer = _layer(program)
        layer_descriptor = blobs.add(layer, "application/vnd.oci.image.layer.v1.tar")
        config = {
            "architecture": _MACHINES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
            "rootfs": {"type": "layers", "diff_ids": [layer_descriptor["digest"]]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blobs.add_json(config, "application/vnd.oci.image.config.v1+json"),
            "layers": [layer_descriptor],
        }
        named = blobs.add_json(manifest, manifest["mediaType"])
        # containerd takes the image's whole name from this annotation of its own.
        named["annotations"] = {"io.containerd.image.name": PAUSE}
        _add(out, "index.json", json.dumps({"schemaVersion": 2, "manifests": [named]}).encode())
        _add(out, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')


def _layer(program: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        _add(layer, "pause", program.read_bytes(), mode=0o755)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


class _Blobs:
    """The content-addressed part of the archive."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive

    def add(self, content: bytes, media_type: str) -> dict[str, Any]:
        """Add one blob and give its descriptor."""
        digest = hashlib.sha256(content).hexdigest()
        _add(self._archive, f"blobs/sha256/{digest}", content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    def add_json(self, content: dict[str, Any], media_type: str) -> dict[str, Any]:
        """Add one blob of JSON and give its descriptor."""
        return self.add(json.dumps(content).encode(), media_type)
