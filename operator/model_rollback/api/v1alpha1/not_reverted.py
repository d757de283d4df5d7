"""What a Rollback did not put back."""

from typing import Annotated

from pydantic import Field

from model_rollback.api.types import StatusModel, Time, atomic


class NotReverted(StatusModel):
    """Something that was written since the bad version appeared, and that the Rollback leaves as it is."""

    object: Annotated[
        str, Field(max_length=320, description="Kind and name. Example: `ConfigMap feature-flags`.")
    ]
    manager: Annotated[
        str,
        Field(
            max_length=128,
            description="The field manager that wrote it; empty: it could not be read. Example: `kubectl-edit`.",
        ),
    ] = ""
    at: Annotated[Time | None, Field(description="When it last wrote the object.")] = None
    fields: Annotated[
        tuple[Annotated[str, Field(max_length=256)], ...],
        Field(
            description="What it holds beside the version and what is not as it was when the version that is put back was recorded; of what was not recorded each field that it holds. Example: `[spec.replicas]`.",
            **atomic(20),
        ),
    ] = ()
