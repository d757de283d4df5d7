"""What a declared version stands on: the artifacts that it was made of, and who vouched for it."""

from typing import Annotated, Literal

from pydantic import Field

from model_rollback.api.types import ApiModel, Day, Name, StatusModel, Text

Uri = Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:[^\s]+$")]


ArtifactType = Literal["Model", "Dataset", "Config", "Source", "Evaluation", "Other"]


class Artifact(ApiModel):
    """One thing that a version was made of, linked for the people who read the record."""

    type: Annotated[ArtifactType, Field(description="What it is. Example: `Model`.")]
    uri: Annotated[
        Uri,
        Field(
            description="Where it is. Examples: `models:/recommender/12`, `git+https://git.example/shop/recommender@9a2b1c`. What is named by `pvc://CLAIM/PATH`, `configmap://NAME/KEY` or `secret://NAME/KEY` must be in the namespace before the version is put back; of anything else nobody here can tell."
        ),
    ]


class PlannedArtifact(StatusModel):
    """An artifact of a version that a Rollback may put back, and whether it is there."""

    type: Annotated[ArtifactType, Field(description="What it is. Example: `Model`.")]
    uri: Annotated[
        str,
        Field(
            max_length=1024,
            description="Where it is, without user and query, which may be secret. Example: `models:/recommender/12`.",
        ),
    ]
    exists: Annotated[
        Literal["True", "False", "Unknown"],
        Field(description="`Unknown`: it could not be asked. Example: `True`."),
    ]
    message: Annotated[Text, Field(description="Why not `True`.")] = ""


class Attestation(ApiModel):
    """What somebody vouched for. A policy asks for it by name in `target.requires`."""

    name: Annotated[Name, Field(description="What is attested, unique in this list. Example: `bias-audit`.")]
    uri: Annotated[
        Uri | None,
        Field(description="Where the proof is. Example: `https://grc.example/audits/88`."),
    ] = None
    expires: Annotated[
        Day | None,
        Field(
            description="The last day on which it counts, in UTC. Example: `2027-01-31`. Default: it does not expire."
        ),
    ] = None
