"""Small valid objects; each test says only what matters to it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from model_rollback.api.v1alpha1.component import Component
from model_rollback.api.v1alpha1.model_deployment import ModelDeploymentSpec
from model_rollback.api.v1alpha1.model_deployment_status import (
    ModelDeploymentStatus,
    QuarantinedVersion,
    RecordedVersion,
)
from model_rollback.api.v1alpha1.rollback_record import (
    PinRecord,
    PlannedTarget,
    Procedure,
    RollbackStatus,
    Step,
)
from model_rollback.api.v1alpha1.trigger import Trigger
from model_rollback.api.v1alpha1.versions import PinValue
from model_rollback.core import machine
from model_rollback.core.gates import Observation
from model_rollback.core.live import LiveTarget
from model_rollback.core.measure import Measurement, Verdict, measure
from model_rollback.core.pins import version_digest
from model_rollback.core.plan import make_steps, resolve_procedure
from model_rollback.core.presets import Policy
from model_rollback.core.questions import questions_of
from model_rollback.core.readiness import Readiness
from model_rollback.core.triggers import TriggerMemory
from model_rollback.errors import MetricsError
from model_rollback.ports import Answer, Sample

NOW = datetime(2026, 1, 5, 10, tzinfo=UTC)
INTERVAL = timedelta(seconds=15)
Shown = Mapping[str, Mapping[str, str]]


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def at(count: float) -> datetime:
    """That many seconds after NOW."""
    return NOW + seconds(count)


def wire(model: BaseModel) -> dict[str, Any]:
    """As the API server has it."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


# --- measuring ----------------------------------------------------------------------------------------------------


def make_trigger(name: str = "accuracy", **fields: Any) -> Trigger:
    """Breaches below 0.90."""
    given = {
        "query": 'model_quality{metric="accuracy"}',
        "breach": {"operator": "LessThan", "threshold": "0.90"},
        **fields,
    }
    return Trigger.model_validate({"name": name, **given})


def answer(*values: float, **labels: str) -> Answer:
    """One series for each value; the labels are the same on all, `i` tells them apart."""
    return Answer(tuple(Sample({**labels, "i": str(i)}, value) for i, value in enumerate(values)))


Came = Answer | MetricsError


def measure_from(
    trigger: Trigger,
    came: Came,
    *,
    traffic: Came | None = None,
    baseline: Came | None = None,
    taken: Sequence[Came] = (),
    target_seen: datetime | None = None,
    rules: Came | None = None,
) -> Measurement:
    """The measurement at NOW when `came` is the answer to the trigger's query.

    `taken`: the answers to the question when the samples of each selector were taken.
    """
    questions = questions_of(trigger, clock_runs=bool(taken), target_seen=target_seen)
    answers = {questions.value: came, **dict(zip(questions.ages, taken, strict=True))}
    if questions.traffic is not None and traffic is not None:
        answers[questions.traffic] = traffic
    if questions.baseline is not None and baseline is not None:
        answers[questions.baseline] = baseline
    if questions.rules is not None and rules is not None:
        answers[questions.rules] = rules
    return measure(trigger, questions, answers, now=NOW)


BAD = Measurement(Verdict.BREACHING, "0.81", "0.81 < 0.90")
GOOD = Measurement(Verdict.HEALTHY, "0.95", "0.95 is not < 0.90")
NO_DATA = Measurement(Verdict.NO_DATA, "", "the query returns no series")
STALE = Measurement(Verdict.STALE, "0.81", "the newest sample is 3m old, more than 2m", blind=True)
LOW_TRAFFIC = Measurement(Verdict.LOW_TRAFFIC, "", "traffic of 1 is below 5: not judged")
ERROR = Measurement(Verdict.ERROR, "", "could not measure (timeout): no answer within 5s")


def breached(**fields: Any) -> TriggerMemory:
    """A trigger that fired at NOW."""
    given = {
        "state": "Breached",
        "since": NOW,
        "observed_at": NOW,
        "value": "0.81",
        "message": "0.81 < 0.90",
        "measurement": BAD,
        "judged_at": NOW,
        "streak": 1,
        "unbroken": True,
        "breaching_since": NOW,
        "open": True,
        "episode": 7,
        **fields,
    }
    return TriggerMemory(**given)


def healthy(**fields: Any) -> TriggerMemory:
    given = {
        "since": NOW,
        "observed_at": NOW,
        "value": "0.95",
        "judged_at": NOW,
        "measurement": GOOD,
        **fields,
    }
    return TriggerMemory("Healthy", **given)


# --- the system ---------------------------------------------------------------------------------------------------


def make_component(name: str = "model", **fields: Any) -> Component:
    """An image in the container `server` of a Deployment of the component's name."""
    given = {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "preset": "ContainerImage",
        "container": "server",
        **fields,
    }
    return Component.model_validate({"name": name, **given})


def make_system(components: Sequence[Component] = (), **fields: Any) -> ModelDeploymentSpec:
    return ModelDeploymentSpec.model_validate(
        {"components": list(components) or [make_component()], **fields}
    )


def image(version: str) -> dict[str, dict[str, str]]:
    """What the component `model` shows at that version."""
    return {"model": {"image": f"shop/recommender:{version}"}}


def declared(version: str, safe: str = "Verified", **values: str) -> dict[str, Any]:
    images = values or {"model": f"shop/recommender:{version}"}
    return {
        "name": version,
        "safe": safe,
        "values": [{"component": c, "pin": "image", "value": v} for c, v in images.items()],
    }


def recorded(version: str, shown: Shown | None = None, **fields: Any) -> RecordedVersion:
    """Verified unless said otherwise."""
    shown = shown or image(version)
    return RecordedVersion(
        **{
            "version": version,
            "digest": version_digest(shown),
            "first_seen": at(-3600),
            "safe": "Verified",
            "revision": f"recommender-{version}",
            "values": tuple(
                PinValue(component=c, pin=pin, value=value)
                for c, pins in shown.items()
                for pin, value in pins.items()
            ),
            **fields,
        }
    )


def quarantined(version: str, until: datetime = NOW + timedelta(hours=1)) -> QuarantinedVersion:
    return QuarantinedVersion(
        version=version, digest=version_digest(image(version)), rollback="recommender-1a2b3c4d5e", until=until
    )


def make_status(current: str = "v13", *history: RecordedVersion, **fields: Any) -> ModelDeploymentStatus:
    """`current` is live; v12 is recorded and Verified unless another history is given."""
    past = history or (recorded("v12"),)
    return ModelDeploymentStatus(
        **{
            "current_version": current,
            "current_digest": version_digest(image(current)),
            "history": past,
            "last_verified_version": next((v.version for v in past if v.safe == "Verified"), ""),
            "episode": 7,
            **fields,
        }
    )


def live(version: str = "v13", component: str = "model", **fields: Any) -> LiveTarget:
    """Rolled out, ready, unchanged for an hour."""
    given = {
        "uid": f"uid-{component}",
        "pins": {"image": f"shop/recommender:{version}"},
        "readiness": Readiness(ready=True),
        "changed_at": at(-3600),
        **fields,
    }
    return LiveTarget(component, **given)


def deployment(image_name: str = "shop/recommender:v13", **metadata: Any) -> dict[str, Any]:
    """A Deployment of two containers as the API server has it, rolled out."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "model",
            "uid": "uid-model",
            "generation": 3,
            "resourceVersion": "41",
            **metadata,
        },
        "spec": {
            "replicas": 2,
            "template": {
                "metadata": {"creationTimestamp": None, "labels": {"app": "model"}},
                "spec": {
                    "containers": [
                        {"name": "proxy", "image": "shop/proxy:1"},
                        {"name": "server", "image": image_name, "env": [{"name": "LOG", "value": "info"}]},
                    ]
                },
            },
        },
        "status": {
            "observedGeneration": 3,
            "replicas": 2,
            "updatedReplicas": 2,
            "readyReplicas": 2,
            "availableReplicas": 2,
            "conditions": [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}],
        },
    }


# --- policy and observation ---------------------------------------------------------------------------------------


def make_policy(*triggers: Trigger, **fields: Any) -> Policy:
    return Policy.model_validate(
        {
            "modelDeploymentRef": {"name": "recommender"},
            "triggers": list(triggers) or [make_trigger()],
            **fields,
        }
    )


def observe(**fields: Any) -> Observation:
    """A breach that every gate lets pass: v13 is live and bad, v12 is Verified."""
    return Observation(
        **{
            "now": NOW,
            "policy": make_policy(),
            "problem": "",
            "system": make_system(),
            "status": make_status(),
            "live": [live()],
            "blind": "",
            "triggers": {"accuracy": breached()},
            **fields,
        }
    )


# --- a Rollback ---------------------------------------------------------------------------------------------------


def make_procedure(**fields: Any) -> Procedure:
    return resolve_procedure(make_policy(**fields), ["accuracy"])


def plan(*components: str | Component, **fields: Any) -> dict[str, Any]:
    """The status fields of a plan that reverts those components from v13 to v12, and v11 after it."""
    steps = way(*components)
    return {
        "from_version": "v13",
        "from_revision": "recommender-v13",
        "to_version": "v12",
        "to_revision": "recommender-v12",
        "targets": (
            PlannedTarget(version="v12", attempt=1, revision="recommender-v12"),
            PlannedTarget(version="v11"),
        ),
        "procedure": make_procedure(),
        "steps": steps,
        **fields,
    }


def way(
    *components: str | Component, start: str = "v13", end: str = "v12", attempt: int = 1
) -> tuple[Step, ...]:
    """The steps that lead those components (default: `model`) from one version to another."""
    made = [make_component(c) if isinstance(c, str) else c for c in components or ("model",)]
    before, after = (
        {c.name: {"image": f"shop/recommender:{version}"} for c in made} for version in (start, end)
    )
    return make_steps(made, before, after, attempt=attempt)


def next_target(status: RollbackStatus, *components: str | Component) -> RollbackStatus:
    """v12 did not pass its validation: v11 is put back instead."""
    targets = (
        PlannedTarget(version="v12", attempt=1, revision="recommender-v12", message="answers: v9"),
        PlannedTarget(version="v11", attempt=2, revision="recommender-v11"),
    )
    fields = {"to_version": "v11", "to_revision": "recommender-v11", "targets": targets}
    steps = way(*components, start="v12", end="v11", attempt=2)
    return machine.next_target(status, fields, steps, "answers: v9", at=NOW)


PINS: dict[str, Any] = {
    "before": (PinRecord(pin="image", value="shop/recommender:v13"),),
    "after": (PinRecord(pin="image", value="shop/recommender:v12"),),
    "was_ready": True,
}
"""What a Revert records when it begins."""


def step(status: RollbackStatus, name: str) -> Step:
    return next(s for s in status.steps if s.name == name)


def begun(status: RollbackStatus, name: str) -> RollbackStatus:
    """The step runs, its pins recorded."""
    return machine.change_step(status, name, at=NOW, state="Running", started_at=NOW, **PINS)


def written(status: RollbackStatus, name: str) -> RollbackStatus:
    return machine.change_step(status, name, at=NOW, written_at=NOW)


def done(status: RollbackStatus, name: str) -> RollbackStatus:
    return machine.change_step(status, name, at=NOW, state="Succeeded", finished_at=NOW)


def requested() -> RollbackStatus:
    return RollbackStatus(observed_generation=1)


def in_preflight(*components: str | Component) -> RollbackStatus:
    return machine.planned(requested(), plan(*components), at=NOW)


def reverting(*components: str | Component) -> RollbackStatus:
    return machine.preflight_passed(in_preflight(*components), at=NOW)


def validating(*components: str | Component) -> RollbackStatus:
    status = reverting(*components)
    for name in [s.name for s in status.steps if s.action == "Revert"]:
        status = done(written(begun(status, name), name), name)
    return status
