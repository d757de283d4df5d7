"""What a ModelDeployment says of itself: its `Ready` condition, one sentence for the person who looks."""

from collections.abc import Sequence
from datetime import datetime

from model_rollback.api.conditions import Condition, condition, find_condition, merge_conditions
from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.model_deployment import ModelDeploymentSpec
from model_rollback.api.v1alpha1.model_deployment_status import ModelDeploymentStatus
from model_rollback.core.live import LiveTarget
from model_rollback.core.moves import move_in_words

EXTERNALLY_MANAGED = "ExternallyManaged"
MUTABLE_REFERENCE = "MutableReference"


def with_conditions(
    spec: ModelDeploymentSpec | None,
    status: ModelDeploymentStatus,
    live: Sequence[LiveTarget],
    *,
    problem: str,
    blind: str,
    generation: int,
    now: datetime,
) -> ModelDeploymentStatus:
    """The status with `Ready`, with `Stalled` while the spec is invalid (`problem`), with `ExternallyManaged` and
    `MutableReference`."""
    ready, reason, message = _ready(spec, status, live, problem, blind)
    said = [condition("Ready", status=ready, reason=reason, message=message, at=now, generation=generation)]
    said += _externally_managed(status, live, generation, now)
    said += _mutable_reference(status, generation, now)
    kept: list[Condition] = [c for c in status.conditions if c.type != "Stalled"]
    if spec is None:
        said.append(
            condition(
                "Stalled",
                status=True,
                reason=Reason.INVALID_SPEC,
                message=problem,
                at=now,
                generation=generation,
            )
        )
        kept = list(status.conditions)
    return status.model_copy(
        update={"conditions": merge_conditions(kept, said), "observed_generation": generation}
    )


def _externally_managed(
    status: ModelDeploymentStatus, live: Sequence[LiveTarget], generation: int, now: datetime
) -> list[Condition]:
    """Said while it is so, and once more when it has ended."""
    owned = [f"{t.component} by {t.managed_by}" for t in live if t.managed_by]
    if owned:
        reason = Reason.EXTERNALLY_MANAGED
        message = f"{', '.join(owned)}: it may bring back what a rollback took away"
    elif find_condition(status.conditions, EXTERNALLY_MANAGED) is not None:
        reason, message = Reason.NOT_EXTERNALLY_MANAGED, "no target is known to be managed from elsewhere"
    else:
        return []
    return [
        condition(
            EXTERNALLY_MANAGED,
            status=bool(owned),
            reason=reason,
            message=message,
            at=now,
            generation=generation,
        )
    ]


def _mutable_reference(status: ModelDeploymentStatus, generation: int, now: datetime) -> list[Condition]:
    """Said while what runs came by a tag that moved, and once more when something else runs."""
    moved = move_in_words(status)
    if not moved and find_condition(status.conditions, MUTABLE_REFERENCE) is None:
        return []
    return [
        condition(
            MUTABLE_REFERENCE,
            status=bool(moved),
            reason=Reason.MUTABLE_REFERENCE if moved else Reason.NO_TAG_MOVED,
            message=moved or "what runs did not come by a tag that moved",
            at=now,
            generation=generation,
        )
    ]


def _ready(
    spec: ModelDeploymentSpec | None,
    status: ModelDeploymentStatus,
    live: Sequence[LiveTarget],
    problem: str,
    blind: str,
) -> tuple[bool | None, Reason, str]:
    if spec is None:
        return False, Reason.INVALID_SPEC, problem
    if blind:
        return None, Reason.API_UNAVAILABLE, blind
    missing = [t.problem for t in live if t.pins is None]
    if missing:
        return False, Reason.TARGETS_MISSING, "; ".join(missing)
    if not status.current_version:
        return False, Reason.MIXED_VERSIONS, "some components hold a new version and some the old one"
    unready = [f"{t.component}: {t.readiness.message}" for t in live if not t.readiness.ready]
    if unready:
        return False, Reason.NOT_READY, "; ".join(unready)
    if not status.last_verified_version and not any(v.safe == "Verified" for v in spec.versions):
        return (
            False,
            Reason.NOTHING_VERIFIED,
            (
                f"no version is Verified: {status.current_version} will be after "
                f"spec.versioning.verifiedAfter of healthy metrics; until then a breach finds no target"
            ),
        )
    return True, Reason.READY, f"{status.current_version} is live and ready"
