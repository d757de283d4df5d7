"""Asks whether what a version was made of is still there: its kept values, and the artifacts that are objects."""

from collections.abc import Iterable

from model_rollback.api.conditions import truncate
from model_rollback.api.v1alpha1.artifacts import Artifact, PlannedArtifact
from model_rollback.core.artifacts import Place, artifacts_of, place_of, shown
from model_rollback.core.candidates import Candidate
from model_rollback.engine import revisions
from model_rollback.engine.store import SystemEntry
from model_rollback.errors import Forbidden, NotFound
from model_rollback.ports import ObjectRef, Objects


async def find_missing(objects: Objects, system: SystemEntry, candidate: Candidate) -> str:
    """What a version needs and is not there; empty when nothing is known to be missing.

    Raises:
        ClusterError: the API server could not be asked.
    """
    namespace = system.ref.namespace
    missing = await revisions.find_missing(objects, namespace, candidate.revision)
    if missing or system.spec is None:
        return missing
    return missing_in_words(await ask(objects, namespace, artifacts_of(candidate, system.spec)))


async def ask(
    objects: Objects, namespace: str, artifacts: Iterable[Artifact | PlannedArtifact]
) -> tuple[PlannedArtifact, ...]:
    """Each of them once, with what could be found out about it.

    Raises:
        ClusterError: the API server could not be asked.
    """
    asked = {}
    for artifact in artifacts:
        uri = shown(artifact.uri)
        asked[artifact.type, uri] = await _ask(objects, namespace, artifact.type, uri)
    return tuple(asked.values())


async def _ask(objects: Objects, namespace: str, type_: str, uri: str) -> PlannedArtifact:
    place, exists, message = place_of(uri), "Unknown", ""
    if place is None:
        message = "it is kept elsewhere: whether it exists cannot be asked here"
    else:
        try:
            message = await _look(objects, namespace, place)
            exists = "False" if message else "True"
        except Forbidden as error:
            message = truncate(f"the operator may not look: {error}")
    return PlannedArtifact.model_validate({"type": type_, "uri": uri, "exists": exists, "message": message})


async def _look(objects: Objects, namespace: str, place: Place) -> str:
    """What is missing; empty when it is there. Of a Secret only the names of its keys are looked at."""
    ref = ObjectRef("v1", place.reference.kind, namespace, place.reference.name)
    try:
        found = await objects.get(ref)
    except NotFound:
        return f"there is no {ref}"
    keys = {*(found.get("data") or {}), *(found.get("binaryData") or {})}
    return f"{ref} has no key {place.key}" if place.key and place.key not in keys else ""


def missing_in_words(artifacts: Iterable[PlannedArtifact]) -> str:
    """What is known to be missing, and why; empty when nothing is."""
    return "; ".join(
        f"its artifact {a.uri} is missing: {a.message}" for a in artifacts if a.exists == "False"
    )
