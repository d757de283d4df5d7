"""The artifacts of a declared version: which objects of the namespace they are, and how the record shows them.

`pvc://CLAIM/PATH` (as KServe writes it), `configmap://NAME/KEY` and `secret://NAME/KEY` name objects which the API
server can be asked about. Of anything else, `s3://…`, `models:/…`, `git+https://…`, only those who serve it could tell.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from model_rollback.api.v1alpha1.artifacts import Artifact
from model_rollback.api.v1alpha1.model_deployment import ModelDeploymentSpec
from model_rollback.core.candidates import Candidate, declaration_of
from model_rollback.core.references import Reference

_KINDS: Final = {"pvc": "PersistentVolumeClaim", "configmap": "ConfigMap", "secret": "Secret"}
_OBJECT: Final = re.compile(r"(pvc|configmap|secret)://([a-z0-9][a-z0-9.-]*)(?:/(.*))?")
_LOGIN: Final = re.compile(r"(?<=://)[^/@\s]*@")


@dataclass(frozen=True, slots=True)
class Place:
    """An object of the namespace, and what of it must be there. `key`: of its data; empty: the object itself."""

    reference: Reference
    key: str = ""


def artifacts_of(candidate: Candidate, spec: ModelDeploymentSpec) -> Sequence[Artifact]:
    """Those of the declared version of that name, as long as it means the same values."""
    declared = declaration_of(candidate, spec)
    return declared.artifacts if declared is not None else ()


def place_of(uri: str) -> Place | None:
    """Where the API server can be asked for it; None where nobody here can tell."""
    found = _OBJECT.fullmatch(uri)
    if found is None:
        return None
    scheme, name, rest = found.groups()
    return Place(Reference(_KINDS[scheme], name), (rest or "") if scheme != "pvc" else "")


def shown(uri: str) -> str:
    """The URI without what could be a secret: who logs in, and the query, which may hold a signature."""
    plain, query, _ = uri.partition("?")
    return _LOGIN.sub("", plain) + ("?…" if query else "")
