"""Which images the pods of a version run: what a tag stood for when the version was seen."""

from typing import Annotated

from pydantic import Field

from model_rollback.api.types import StatusModel

ImageID = Annotated[str, Field(max_length=512)]


class RunningImage(StatusModel):
    """What one container of a component's pods runs."""

    component: Annotated[str, Field(max_length=63, description="The component. Example: `model`.")]
    container: Annotated[
        str, Field(max_length=63, description="The container in its pods. Example: `server`.")
    ]
    image_id: Annotated[
        ImageID,
        Field(
            alias="imageID",
            description="The `imageID` that all its pods report. Example: `registry.example/recommender@sha256:9a0e…`.",
        ),
    ]
