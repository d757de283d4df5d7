"""What the kinds share: metadata as far as the operator reads it, references, and how a kind presents itself."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import Field

from model_rollback.api.types import ApiModel, ObjectName, StatusModel, Time


class ObjectMeta(StatusModel):
    """The part of `metadata` that decisions need."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: Time = datetime.fromisoformat("1970-01-01T00:00:00Z")
    deletion_timestamp: Time | None = None


class LocalRef(ApiModel):
    """Names an object of a known kind in the same namespace; there are no references across namespaces."""

    name: Annotated[ObjectName, Field(description="Name of the object. Example: `recommender`.")]


@dataclass(frozen=True)
class Column:
    """One printer column of `kubectl get`."""

    name: str
    json_path: str
    type: str = "string"
    priority: int = 0
    description: str = ""


@dataclass(frozen=True)
class KindInfo:
    """How a kind is known to the API server."""

    kind: str
    plural: str
    singular: str
    short: str
    columns: tuple[Column, ...]
