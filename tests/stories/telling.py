"""Stories are played with the files of `examples/`, as a user applies them; only their durations are shorter."""

from pathlib import Path
from typing import Any

import yaml

from tests.scenario.systems import Manifest
from tests.support.places import ROOT

EXAMPLES = ROOT / "examples"
_VERSIONING = {"stabilizeFor": "1s", "verifiedAfter": "2s"}


def read(story: str, *names: str) -> list[Manifest]:
    """The manifests of a story's files, with durations that a test can wait for."""
    return [
        _shortened(manifest)
        for name in names
        for manifest in yaml.safe_load_all((EXAMPLES / story / name).read_text())
    ]


def path(story: str, name: str) -> Path:
    """One file of a story."""
    return EXAMPLES / story / name


def _shortened(manifest: Manifest) -> Manifest:
    spec = manifest["spec"]
    if manifest["kind"] == "ModelDeployment":
        spec["versioning"] = {**spec.get("versioning", {}), **_VERSIONING}
        for component in spec["components"]:
            if "reprocess" in component:
                component["reprocess"]["timeout"] = "60s"
    elif manifest["kind"] == "RollbackPolicy":
        _shorten_policy(spec)
    return manifest


def _shorten_policy(spec: dict[str, Any]) -> None:
    spec["interval"] = "1s"
    spec["validation"] |= {"settle": "1s", "duration": "2s"}
    spec.setdefault("execution", {})["stepTimeout"] = "60s"
    if "warmUp" in spec.get("guards", {}):
        spec["guards"]["warmUp"] = "1s"
    for trigger in spec["triggers"]:
        if "for" in trigger:
            trigger["for"] = "2s"
