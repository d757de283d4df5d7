"""One table of good and bad objects. The models and the API server must say the same about each of them."""

import copy
from dataclasses import dataclass, field
from typing import Any, Final

Document = dict[str, Any]
ABSENT: Final = object()
"""As a value in `Row.change`: take the field away."""

MODEL_DEPLOYMENT: Final[Document] = {
    "apiVersion": "modelrollback.dev/v1alpha1",
    "kind": "ModelDeployment",
    "metadata": {"name": "recommender"},
    "spec": {
        "components": [
            {
                "name": "model",
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "recommender"},
            }
        ]
    },
}
ROLLBACK_POLICY: Final[Document] = {
    "apiVersion": "modelrollback.dev/v1alpha1",
    "kind": "RollbackPolicy",
    "metadata": {"name": "recommender"},
    "spec": {
        "modelDeploymentRef": {"name": "recommender"},
        "triggers": [
            {
                "name": "accuracy",
                "query": 'model_quality{metric="accuracy",model="recommender"}',
                "breach": {"operator": "LessThan", "threshold": "0.90"},
                "for": "2m",
            }
        ],
    },
}
ROLLBACK: Final[Document] = {
    "apiVersion": "modelrollback.dev/v1alpha1",
    "kind": "Rollback",
    "metadata": {"name": "recommender-7f3c2a91d0"},
    "spec": {
        "modelDeploymentRef": {"name": "recommender"},
        "policyRef": {"name": "recommender"},
        "type": "Incident",
        "targetVersion": "v12",
        "fromVersion": "v13",
        "fromDigest": "9c41" * 16,
        "targetDigest": "77aa" * 16,
        "reason": "accuracy 0.81 < 0.90 for 2m",
        "requestedBy": {"kind": "Policy", "name": "recommender"},
    },
}
HALTED: Final[Document] = {
    "conditions": [
        {
            "type": "Halted",
            "status": "True",
            "reason": "StepTimedOut",
            "lastTransitionTime": "2026-01-05T10:00:00Z",
        }
    ]
}
RUNNING: Final[Document] = {"conditions": [{**HALTED["conditions"][0], "status": "False"}]}
FINISHED: Final[Document] = {**RUNNING, "result": "Succeeded"}
ABORTED: Final[Document] = {**RUNNING, "result": "Aborted"}


@dataclass(frozen=True)
class Row:
    """A base object with some fields set, and what is wrong with the outcome.

    `change` maps a path such as `spec.triggers.0.for` to a value. `says` is a word that a refusal must contain,
    from the models and from the API server: the field, so that people find it; None when the object is good.
    """

    id: str
    base: Document
    change: Document = field(default_factory=dict)
    says: str | None = None

    @property
    def document(self) -> Document:
        return with_fields(self.base, self.change)


@dataclass(frozen=True)
class Update:
    """A Rollback as it is, with its status, and what somebody wants to make of its spec."""

    id: str
    status: Document
    before: Document
    after: Document
    says: str | None = None

    @property
    def old(self) -> Document:
        return with_fields(ROLLBACK, self.before)

    @property
    def new(self) -> Document:
        return with_fields(ROLLBACK, self.after)


def with_fields(base: Document, change: Document) -> Document:
    """A copy of `base` with the fields at those paths set or, with ABSENT, gone."""
    document = copy.deepcopy(base)
    for path, value in change.items():
        *parents, last = path.split(".")
        place: Any = document
        for key in parents:
            place = place[int(key)] if isinstance(place, list) else place.setdefault(key, {})
        if isinstance(place, list):
            place.insert(int(last), value) if int(last) >= len(place) else place.__setitem__(int(last), value)
        elif value is ABSENT:
            del place[last]
        else:
            place[last] = value
    return document


def component(name: str, *depends_on: str, **more: Any) -> Document:
    """A component of a ModelDeployment."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    return {
        "name": name,
        "targetRef": target,
        **({"dependsOn": list(depends_on)} if depends_on else {}),
        **more,
    }


def trigger(name: str) -> Document:
    """A trigger of a RollbackPolicy."""
    return {"name": name, "query": "up", "breach": {"operator": "LessThan", "threshold": "1"}}


def image_version(name: str, component_: str = "model", pin: str = "image") -> Document:
    """A declared version with one value."""
    return {"name": name, "values": [{"component": component_, "pin": pin, "value": "r/m:12"}]}


def drop(threshold: str, **baseline: Any) -> Document:
    """A relative breach; compared with the target unless another baseline is given."""
    return {"operator": "DropsBy", "threshold": threshold, "baseline": baseline or {"version": "Target"}}


def alert(**more: Any) -> Document:
    """A trigger on an alert of the source's own rules."""
    return {"name": "slo", "alert": {"name": "SLOBurn", "labels": {"service": "shop"}}, **more}


CHAIN: Final = [f"c{i}" for i in range(16)]
PARTS: Final = "spec.components"
VERSIONS: Final = "spec.versions"
M, P, R = MODEL_DEPLOYMENT, ROLLBACK_POLICY, ROLLBACK
IMAGE: Final = component("model", preset="ContainerImage", container="server")
TARGET: Final = "spec.components.0.targetRef"
PINS: Final = "spec.components.0.pins"
READINESS: Final = "spec.components.0.readiness"
RESTART: Final = "spec.components.0.restart"
OURS: Final = {"apiVersion": "modelrollback.dev/v1alpha1", "kind": "RollbackPolicy", "name": "recommender"}
CLASSIFIER: Final = {
    "apiVersion": "ml.example/v1",
    "kind": "Classifier",
    "name": "recommender",
    "resource": "classifiers",
}
SECRET: Final = {"apiVersion": "v1", "kind": "Secret", "name": "recommender"}
PIN: Final = {"name": "model", "path": 'spec.config["model.yaml"]|yaml.uri', "role": "Inference"}
CONSUMER: Final = {"kind": "Deployment", "name": "recommender"}
THRESHOLD: Final = "spec.triggers.0.breach.threshold"
OPERATOR: Final = "spec.triggers.0.breach.operator"
BREACH: Final = "spec.triggers.0.breach"
RECOVER: Final = "spec.triggers.0.recoverAt"
FOR: Final = "spec.triggers.0.for"
PROBES: Final = "spec.validation.probes"
WINDOWS: Final = "spec.guards.freezeWindows"
FREEZE: Final = {"schedule": "0 0 24 12 *", "duration": "48h", "timeZone": "Europe/London"}
SMOKE: Final[Document] = {"spec": {"containers": [{"name": "smoke", "image": "registry.example/smoke:1"}]}}
HTTP: Final[Document] = {"service": "recommender", "port": 8080}

CRON_JOB: Final[Document] = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "build-features"}

MODEL_DEPLOYMENTS: Final = (
    Row("the smallest ModelDeployment", M),
    Row("a chain of components", M, {PARTS: [component("a"), component("b", "a")]}),
    Row("a component listed before what it depends on", M, {PARTS: [component("b", "a"), component("a")]}),
    Row("an image as the version", M, {PARTS: [IMAGE], VERSIONS: [image_version("v12")]}),
    Row("null is absence", M, {"spec.components.0.container": None, "spec.components.0.type": None}),
    Row("sixteen components", M, {PARTS: [component(f"c{i}") for i in range(16)]}),
    Row("seventeen components", M, {PARTS: [component(f"c{i}") for i in range(17)]}, "components"),
    Row("data built anew after a revert", M, {PARTS: [{**component("a"), "targetRef": CRON_JOB, "reprocess": {}}]}),
    Row("nothing to build anew from", M, {PARTS: [{**component("a"), "reprocess": {}}]}, "reprocess runs a Job from"),
    Row("an account that writes", M, {"spec.serviceAccountName": "rollback-executor"}),
    Row("an account of another namespace", M, {"spec.serviceAccountName": "shop/x"}, "serviceAccountName"),
    Row("no component", M, {PARTS: []}, "components"),
    Row("components missing", M, {PARTS: ABSENT}, "components"),
    Row("spec missing", M, {"spec": ABSENT}, "spec"),
    Row("two components of one name", M, {PARTS: [component("a"), component("a")]}, "component"),
    Row("a component that depends on itself", M, {PARTS: [component("a", "a")]}, "depend"),
    Row("a circle of two", M, {PARTS: [component("a", "b"), component("b", "a")]}, "circle"),
    Row("a circle of three", M, {PARTS: [component(a, b) for a, b in ("ab", "bc", "ca")]}, "circle"),
    Row("a circle of sixteen", M, {PARTS: [component(f"c{i}", f"c{(i + 1) % 16}") for i in range(16)]}, "circle"),
    Row("a chain of sixteen", M, {PARTS: [component(f"c{i}", *CHAIN[i + 1 : i + 2]) for i in range(16)]}),
    Row("every component waits for all before it", M, {PARTS: [component(n, *CHAIN[:i]) for i, n in enumerate(CHAIN)]}),
    Row("dependsOn empty", M, {"spec.components.0.dependsOn": []}),
    Row("dependsOn an unknown component", M, {PARTS: [component("a", "b")]}, "dependsOn"),
    Row("an unknown field", M, {"spec.components.0.depnedsOn": ["a"]}, "depnedsOn"),
    Row("an unknown component type", M, {"spec.components.0.type": "Thing"}, ".type"),
    Row("a target kind in small letters", M, {"spec.components.0.targetRef.kind": "deployment"}, ".kind"),
    Row("a target without an API version", M, {"spec.components.0.targetRef.apiVersion": ""}, "apiVersion"),
    Row("a target that is one of ours", M, {TARGET: OURS}, "apiVersion"),
    Row("a target with an odd API version", M, {"spec.components.0.targetRef.apiVersion": "../v1"}, "apiVersion"),
    Row("a target kind that no preset knows", M, {TARGET: CLASSIFIER, PINS: [PIN]}),
    Row("pins and when they are ready", M, {TARGET: CLASSIFIER, PINS: [PIN], READINESS: {
        "conditions": [{"type": "ModelReady"}], "fields": [{"path": "status.phase", "equals": "Running"}],
    }}),
    Row("a readiness of nothing", M, {READINESS: {}}, "readiness"),
    Row("a readiness of two empty lists", M, {READINESS: {"conditions": [], "fields": []}}, "readiness"),
    Row("one condition twice", M, {READINESS: {"conditions": [{"type": "A"}, {"type": "A"}]}}, "condition"),
    Row("pins and a preset", M, {PINS: [PIN], "spec.components.0.preset": "PodTemplate"}, "preset"),
    Row("no pins and a preset", M, {PINS: [], "spec.components.0.preset": "PodTemplate"}),
    Row("two pins of one name", M, {PINS: [PIN, PIN]}, "pin"),
    Row("a pin without a path", M, {PINS: [{"name": "model"}]}, "path"),
    Row("a pin of an unknown role", M, {PINS: [{**PIN, "role": "Testing"}]}, "role"),
    Row("sixteen pins", M, {PINS: [{**PIN, "name": f"p{i}"} for i in range(16)]}),
    Row("seventeen pins", M, {PINS: [{**PIN, "name": f"p{i}"} for i in range(17)]}, "pins"),
    Row("an environment variable as the version", M, {PARTS: [
        component("model", preset="ContainerEnv", container="server", env="MODEL_URI"),
    ]}),
    Row("an environment variable without its name", M, {PARTS: [
        component("model", preset="ContainerEnv", container="server"),
    ]}, "env"),
    Row("a name of a variable without the preset", M, {"spec.components.0.env": "MODEL_URI"}, "env"),
    Row("arguments as the version", M, {PARTS: [component("model", preset="ContainerArgs", container="server")]}),
    Row("workloads that are restarted", M, {RESTART: [CONSUMER, {**CONSUMER, "kind": "StatefulSet"}]}),
    Row("a workload that is restarted twice", M, {RESTART: [CONSUMER, CONSUMER]}, "restart"),
    Row("a restart of something else", M, {RESTART: [{**CONSUMER, "kind": "Pod"}]}, "kind"),
    Row("a version of an explicit pin", M, {PINS: [PIN], VERSIONS: [image_version("v1", pin="model")]}),
    Row("a version of a Secret", M, {TARGET: SECRET, PINS: [PIN], VERSIONS: [image_version("v1", pin="model")]},
        "Secret"),
    Row("fifty versions of sixteen components of sixteen pins", M, {
        PARTS: [component(f"c{i}", pins=[{**PIN, "name": f"p{n}"} for n in range(16)]) for i in range(16)],
        VERSIONS: [{"name": f"v{n}", "values": [
            {"component": f"c{i}", "pin": f"p{j}", "value": "x"} for i in range(16) for j in range(4)
        ]} for n in range(50)],
    }),
    Row("a target without a name", M, {"spec.components.0.targetRef.name": ""}, ".name"),
    Row("a component name in capitals", M, {"spec.components.0.name": "Model"}, ".name"),
    Row("a component name of 64 characters", M, {"spec.components.0.name": "a" * 64}, ".name"),
    Row("an image without its container", M, {"spec.components.0.preset": "ContainerImage"}, "container"),
    Row("a container without the image preset", M, {"spec.components.0.container": "server"}, "container"),
    Row("a version of an unknown component", M, {PARTS: [IMAGE], VERSIONS: [image_version("v1", "x")]}, "version"),
    Row("a version of an unknown pin", M, {PARTS: [IMAGE], VERSIONS: [image_version("v1", pin="x")]}, "pin"),
    Row("a version of a pod template", M, {VERSIONS: [image_version("v1")]}, "version"),
    Row("a version without values", M, {PARTS: [IMAGE], VERSIONS: [{"name": "v1", "values": []}]}, "values"),
    Row("two versions of one name", M, {PARTS: [IMAGE], VERSIONS: [image_version("v1")] * 2}, "version"),
    Row("a version name with a slash", M, {PARTS: [IMAGE], VERSIONS: [image_version("v/1")]}, ".name"),
    Row("a version with artifacts and attestations", M, {PARTS: [IMAGE], VERSIONS: [{**image_version("v12"),
        "artifacts": [
            {"type": "Model", "uri": "models:/recommender/12"},
            {"type": "Source", "uri": "git+https://git.example/shop/recommender@9a2b1c"},
        ],
        "attestations": [
            {"name": "bias-audit", "uri": "https://grc.example/audits/88", "expires": "2027-01-31"},
            {"name": "load-test"},
        ],
    }]}),
    *(
        Row(f"an attestation that expires {day!r}", M, {PARTS: [IMAGE], VERSIONS: [
            {**image_version("v12"), "attestations": [{"name": "a", "expires": day}]}
        ]}, "expires")
        for day in ("2027-02-30", "2027-01-31T00:00:00Z", "31.1.2027", "", 20270131, 0)
    ),
    Row("two attestations of one name", M, {PARTS: [IMAGE], VERSIONS: [
        {**image_version("v12"), "attestations": [{"name": "a"}, {"name": "a"}]}
    ]}, "attestation"),
    Row("two artifacts that are one", M, {PARTS: [IMAGE], VERSIONS: [
        {**image_version("v12"), "artifacts": [{"type": "Model", "uri": "models:/r/12"}] * 2}
    ]}, "artifact"),
    Row("an artifact without a scheme", M, {PARTS: [IMAGE], VERSIONS: [
        {**image_version("v12"), "artifacts": [{"type": "Model", "uri": "recommender 12"}]}
    ]}, ".uri"),
    Row("images as written", M, {"spec.versioning.images": "AsWritten"}),
    Row("images in another way", M, {"spec.versioning.images": "ByTag"}, "images"),
    Row("historyLimit 1", M, {"spec.versioning.historyLimit": 1}, "historyLimit"),
    Row("historyLimit 101", M, {"spec.versioning.historyLimit": 101}, "historyLimit"),
    Row("historyLimit as a string", M, {"spec.versioning.historyLimit": "20"}, "historyLimit"),
    Row("historyLimit as a boolean", M, {"spec.versioning.historyLimit": True}, "historyLimit"),
    Row("stabilizeFor in days", M, {"spec.versioning.stabilizeFor": "1d"}, "stabilizeFor"),
    Row("a release from quarantine", M, {"spec.quarantineReleases": [{"version": "v11", "reason": "fixed upstream"}]}),
    Row("a release without a reason", M, {"spec.quarantineReleases": [{"version": "v11", "reason": ""}]}, "reason"),
    Row("two releases of one version", M, {
        "spec.quarantineReleases": [{"version": "v11", "reason": "a"}, {"version": "v11", "reason": "b"}],
    }, "quarantine"),
)  # fmt: skip

ROLLBACK_POLICIES: Final = (
    Row("the smallest RollbackPolicy", P),
    *(Row(f"threshold {t}", P, {THRESHOLD: t}) for t in ("0", "-1", "+.5", "1e-3", "100.25", "9" * 60 + "e99")),
    *(
        Row(f"threshold {t!r}", P, {THRESHOLD: t}, "threshold")
        for t in ("NaN", "nan", "Infinity", "+Inf", "", " 1", "1\n", "1e999", "1,5", "0x10", "1_000", "90%", "1" * 65)
    ),
    Row("threshold as a number", P, {THRESHOLD: 0.9}, "threshold"),
    Row("a range", P, {THRESHOLD: "0.8..1.2", OPERATOR: "Outside"}),
    Row("a range of one point", P, {THRESHOLD: "1..1", OPERATOR: "Inside"}),
    Row("a range the wrong way round", P, {THRESHOLD: "1.2..0.8", OPERATOR: "Inside"}, "low <= high"),
    Row("a range with one end", P, {THRESHOLD: "0.8..", OPERATOR: "Outside"}, "threshold"),
    Row("a range for LessThan", P, {THRESHOLD: "0.8..1.2"}, "range"),
    Row("one decimal for Outside", P, {OPERATOR: "Outside"}, "range"),
    Row("a drop by a share", P, {BREACH: drop("10%")}),
    Row("a rise by an amount", P, {BREACH: {**drop("0.05"), "operator": "RisesBy"}}),
    Row("a baseline of another query", P, {BREACH: drop("10%", query="champion", series={"model": "a"})}),
    Row("a baseline at an offset", P, {BREACH: drop("10%", offset="24h")}),
    Row("a share for LessThan", P, {THRESHOLD: "10%"}, "threshold"),
    Row("a share with a sign in the middle", P, {BREACH: drop("1%0")}, "threshold"),
    Row("a drop by nothing", P, {BREACH: drop("0%")}, "threshold"),
    Row("a negative drop", P, {BREACH: drop("-1")}, "threshold"),
    Row("a range for DropsBy", P, {BREACH: drop("0.1..0.2")}, "range"),
    Row("a drop from nothing", P, {BREACH: {"operator": "DropsBy", "threshold": "10%"}}, "baseline"),
    Row("LessThan with a baseline", P, {BREACH: {**drop("10"), "operator": "LessThan"}}, "baseline"),
    Row("a baseline of no kind", P, {f"{BREACH}": {**drop("10%"), "baseline": {}}}, "baseline"),
    Row("a baseline of two kinds", P, {BREACH: drop("10%", offset="1h", query="up")}, "baseline"),
    Row("an offset with series", P, {BREACH: drop("10%", offset="1h", series={"a": "b"})}, "baseline"),
    Row("a baseline of an unknown version", P, {BREACH: drop("10%", version="Current")}, "version"),
    Row("an offset of zero", P, {BREACH: drop("10%", offset="0s")}, "offset"),
    *(
        Row(f"{operator} {threshold} recovering at {recover}", P, {
            BREACH: drop(threshold) if operator == "DropsBy" else {"operator": operator, "threshold": threshold},
            RECOVER: recover,
        }, None if good else "recoverAt")
        for operator, threshold, recover, good in (
            ("LessThan", "0.90", "0.93", True), ("LessThan", "0.90", "0.90", True), ("LessThan", "0.90", "0.89", False),
            ("LessThan", "0.90", "0.9..1", False), ("LessThan", "0.90", "5%", False),
            ("GreaterThan", "0.4", "0.3", True), ("GreaterThan", "0.4", "0.5", False),
            ("Outside", "0.8..1.2", "0.9..1.1", True), ("Outside", "0.8..1.2", "0.7..1.1", False),
            ("Outside", "0.8..1.2", "1", False), ("Inside", "0.8..1.2", "0.7..1.3", True),
            ("Inside", "0.8..1.2", "0.9..1.3", False), ("Equal", "1", "1", False),
            ("DropsBy", "10%", "5%", True), ("DropsBy", "10%", "11%", False), ("DropsBy", "10%", "0.05", False),
            ("DropsBy", "10%", "-1%", False),
        )
    ),
    Row("an alert", P, {"spec.triggers.0": alert()}),
    Row("an alert with for and traffic", P, {
        "spec.triggers.0": alert(**{"for": "1m", "traffic": {"query": "rps", "atLeast": "1"}}),
    }),
    Row("an alert beside a query", P, {"spec.triggers.0.alert": {"name": "A"}}, "query"),
    *(
        Row(f"an alert with {field}", P, {"spec.triggers.0": alert(**{field: value})}, "alert")
        for field, value in (
            ("breach", {"operator": "LessThan", "threshold": "1"}), ("series", {"a": "b"}), ("maxSampleAge", "1m"),
        )
    ),
    Row("an alert without a name", P, {"spec.triggers.0": {"name": "a", "alert": {}}}, "name"),
    Row("a trigger that notifies", P, {"spec.triggers.0.action": "Notify"}),
    Row("an unknown action", P, {"spec.triggers.0.action": "Restart"}, "action"),
    Row("two of two at once", P, {"spec.triggers": [trigger("a"), trigger("b")], "spec.match.atLeast": 2}),
    Row("two of one at once", P, {"spec.match.atLeast": 2}, "match"),
    Row("two of two, one of which notifies", P, {
        "spec.triggers": [trigger("a"), {**trigger("b"), "action": "Notify"}], "spec.match.atLeast": 2,
    }, "match"),
    Row("none at once", P, {"spec.match.atLeast": 0}, "atLeast"),
    Row("warmUp", P, {"spec.guards.warmUp": "2m"}),
    Row("warmUp in days", P, {"spec.guards.warmUp": "1d"}, "warmUp"),
    Row("traffic", P, {"spec.triggers.0.traffic": {"query": "rps", "series": {"model": "a"}, "atLeast": "5"}}),
    Row("traffic without a limit", P, {"spec.triggers.0.traffic": {"query": "rps"}}, "atLeast"),
    Row("traffic as a range", P, {"spec.triggers.0.traffic": {"query": "rps", "atLeast": "1..2"}}, "atLeast"),
    Row("every way to reduce", P, {"spec.triggers": [
        {**trigger(f"t{i}"), "reduce": how} for i, how in enumerate(("Any", "All", "Max", "Min", "Avg", "Sum"))
    ]}),
    Row("an unknown way to reduce", P, {"spec.triggers.0.reduce": "Median"}, "reduce"),
    Row("maxSampleAge zero", P, {"spec.triggers.0.maxSampleAge": "0s"}, "maxSampleAge"),
    Row("infinities compared", P, {"spec.triggers.0.onInfinite": "Compare"}),
    Row("infinities as errors", P, {"spec.triggers.0.onInfinite": "Error"}, "onInfinite"),
    Row("an unknown operator", P, {OPERATOR: "<"}, "operator"),
    *(Row(f"for {d}", P, {FOR: d}) for d in ("0s", "500ms", "1h30m", "8784h", "90m", "1m1m")),
    *(
        Row(f"for {d!r}", P, {FOR: d}, ".for")
        for d in ("7d", "2 m", "-1m", "1.5h", "2", "", "8785h", "1us", "999999999999999999h", "1m\n")
    ),
    Row("for as a number", P, {FOR: 120}, ".for"),
    Row("interval below a second", P, {"spec.interval": "500ms"}, "interval"),
    Row("interval over an hour", P, {"spec.interval": "61m"}, "interval"),
    Row("stepTimeout over a day", P, {"spec.execution.stepTimeout": "25h"}, "stepTimeout"),
    Row("no trigger", P, {"spec.triggers": []}, "triggers"),
    Row("fifty triggers", P, {"spec.triggers": [trigger(f"t{i}") for i in range(50)]}),
    Row("fifty-one triggers", P, {"spec.triggers": [trigger(f"t{i}") for i in range(51)]}, "triggers"),
    Row("two triggers of one name", P, {"spec.triggers": [trigger("a"), trigger("a")]}, "trigger"),
    Row("a trigger that measures nothing", P, {"spec.triggers.0.query": ABSENT}, "exactly one of"),
    Row("a preset", P, {"spec.triggers.0": {"name": "a", "preset": "KServeErrors"}}),
    Row("a preset with all that is its own", P, {"spec.triggers.0": {
        **trigger("a"), "query": None, "preset": "KServeErrors", "window": "2m", "for": "1m", "type": "Errors",
    }}),
    Row("a preset with a recoverAt for its own breach", P, {"spec.triggers.0": {
        "name": "a", "preset": "KServeErrors", "recoverAt": "0.01",
    }}),
    Row("a query and a preset", P, {"spec.triggers.0.preset": "KServeErrors"}, "exactly one of"),
    Row("a preset that is no name", P, {"spec.triggers.0": {"name": "a", "preset": "sum(up)"}}, ".preset"),
    Row("a query without a breach", P, {"spec.triggers.0.breach": ABSENT}, "breach"),
    Row("a window beside a query", P, {"spec.triggers.0.window": "5m"}, "window"),
    Row("a window below a scrape", P, {"spec.triggers.0": {
        "name": "a", "preset": "KServeErrors", "window": "1s",
    }}, "window"),
    Row("an empty query", P, {"spec.triggers.0.query": ""}, ".query"),
    Row("a query of 4097 characters", P, {"spec.triggers.0.query": "x" * 4097}, ".query"),
    Row("series", P, {"spec.triggers.0.series": {"model": "recommender", "_x9": ""}}),
    Row("series with a bad label name", P, {"spec.triggers.0.series": {"9model": "recommender"}}, "series"),
    Row("series with a label name too long", P, {"spec.triggers.0.series": {"m" * 129: "x"}}, "series"),
    Row("series with a label value too long", P, {"spec.triggers.0.series": {"m": "x" * 257}}, "series"),
    Row("series with 17 labels", P, {"spec.triggers.0.series": {f"l{i}": "x" for i in range(17)}}, "series"),
    Row("consecutive 0", P, {"spec.triggers.0.consecutive": 0}, "consecutive"),
    Row("consecutive 1001", P, {"spec.triggers.0.consecutive": 1001}, "consecutive"),
    Row("consecutive as a fraction", P, {"spec.triggers.0.consecutive": 1.5}, "consecutive"),
    Row("onError Healthy", P, {"spec.triggers.0.onError": "Healthy"}, "onError"),
    Row("an unknown mode", P, {"spec.mode": "DryRun"}, ".mode"),
    Row("mode null is its default", P, {"spec.mode": None}),
    Row("a metrics source that is a URL", P, {"spec.metricsSource": "http://prometheus:9090"}, "metricsSource"),
    Row("a reference across namespaces", P, {"spec.modelDeploymentRef.namespace": "other"}, "namespace"),
    Row("an unknown field of a policy", P, {"spec.cooldwon": "30m"}, "cooldwon"),
    Row("Pinned with its version", P, {"spec.target": {"strategy": "Pinned", "version": "v12"}}),
    Row("Pinned without a version", P, {"spec.target": {"strategy": "Pinned"}}, "version"),
    Row("a version without Pinned", P, {"spec.target": {"version": "v12"}}, "version"),
    Row("a target with conditions", P, {"spec.target": {
        "fallbacks": ["v11", "v10"], "requires": ["bias-audit"], "maxAge": "720h",
    }}),
    Row("a fallback named twice", P, {"spec.target": {"fallbacks": ["v11", "v11"]}}, "fallback"),
    Row("eleven fallbacks", P, {"spec.target": {"fallbacks": [f"v{i}" for i in range(11)]}}, "fallbacks"),
    Row("an attestation required twice", P, {"spec.target": {"requires": ["a", "a"]}}, "require"),
    Row("maxAge of nothing", P, {"spec.target": {"maxAge": "0s"}}, "maxAge"),
    Row("every guard", P, {"spec.guards": {
        "cooldown": "0s", "maxRollbacks": {"count": 50, "per": "8784h"}, "freezeWindows": [FREEZE],
    }}),
    Row("a freeze window in UTC", P, {WINDOWS: [{"schedule": "*/5 0,12 L * MON-FRI", "duration": "1s"}]}),
    Row("a budget of none", P, {"spec.guards.maxRollbacks": {"count": 0}}, "count"),
    Row("a budget that nobody counts", P, {"spec.guards.maxRollbacks": {"count": 51}}, "count"),
    Row("a budget within no time", P, {"spec.guards.maxRollbacks": {"per": "0s"}}, "per"),
    Row("a schedule of four fields", P, {WINDOWS: [FREEZE | {"schedule": "0 0 24 12"}]}, "schedule"),
    Row("a schedule with seconds", P, {WINDOWS: [FREEZE | {"schedule": "0 0 0 24 12 *"}]}, "schedule"),
    Row("a schedule by name", P, {WINDOWS: [FREEZE | {"schedule": "@daily"}]}, "schedule"),
    Row("a freeze of no length", P, {WINDOWS: [FREEZE | {"duration": "0s"}]}, "duration"),
    Row("an unknown time zone", P, {WINDOWS: [FREEZE | {"timeZone": "Europe/Londn"}]}, "zone"),
    Row("an offset as a time zone", P, {WINDOWS: [FREEZE | {"timeZone": "+01:00"}]}, "timeZone"),
    Row("seventeen freeze windows", P, {WINDOWS: [FREEZE] * 17}, "freezeWindows"),
    Row("refuse what others manage", P, {"spec.ownership": {"onExternalManager": "Refuse"}}),
    Row("suspend the sync", P, {"spec.ownership": {"onExternalManager": "SuspendSync"}}, "onExternalManager"),
    Row("every kind of probe", P, {PROBES: [
        {"name": "ready", "readiness": {}},
        {"name": "answers", "http": {**HTTP, "expectVersion": {"jsonPath": "$.models[0].version"}}},
        {"name": "recovered", "trigger": "accuracy"},
        {"name": "engagement", "metric": {
            "query": "avg(engagement)", "series": {"m": "r"}, "breach": {"operator": "LessThan", "threshold": "0.1"},
        }},
        {"name": "quiet", "logs": {"component": "model", "container": "server", "pattern": "(?i)out of memory$"}},
        {"name": "smoke", "job": {"template": SMOKE, "timeout": "30s"}},
    ]}),
    Row("a metric probe without breach", P, {PROBES: [{"name": "a", "metric": {"query": "up"}}]}, "breach"),
    Row("a logs probe without component", P, {PROBES: [{"name": "a", "logs": {"pattern": "x"}}]}, "component"),
    *(
        Row(f"a log pattern {pattern[:9]!r}", P, {PROBES: [
            {"name": "a", "logs": {"component": "model", "pattern": pattern}},
        ]}, "pattern")
        for pattern in ("", "(", "(?=x)", "a{2000}", "(a)\\1", "x" * 257)
    ),
    Row("maxMatches -1", P, {PROBES: [
        {"name": "a", "logs": {"component": "model", "pattern": "x", "maxMatches": -1}},
    ]}, "maxMatches"),
    Row("a job probe without template", P, {PROBES: [{"name": "a", "job": {}}]}, "template"),
    Row("a job that runs for two days", P, {PROBES: [
        {"name": "a", "job": {"template": SMOKE, "timeout": "48h"}},
    ]}, "timeout"),
    Row("a probe of no kind", P, {PROBES: [{"name": "a"}]}, "probe"),
    Row("a probe of two kinds", P, {PROBES: [{"name": "a", "readiness": {}, "trigger": "accuracy"}]}, "probe"),
    Row("a probe of an unknown trigger", P, {PROBES: [{"name": "a", "trigger": "nope"}]}, "probe"),
    Row("two probes of one name", P, {PROBES: [{"name": "a", "readiness": {}}] * 2}, "probe"),
    Row("an option of the readiness probe", P, {PROBES: [{"name": "a", "readiness": {"x": 1}}]}, "readiness"),
    Row("an http probe of an allowed host", P, {PROBES: [
        {"name": "a", "http": {"host": "models.example.com", "port": 443, "scheme": "HTTPS"}},
    ]}),
    Row("an http probe of nothing", P, {PROBES: [{"name": "a", "http": {"port": 80}}]}, "service and host"),
    Row("an http probe of two", P, {PROBES: [{"name": "a", "http": {**HTTP, "host": "a.b"}}]}, "service and host"),
    *(
        Row(f"an http probe of {host}", P, {PROBES: [{"name": "a", "http": {"host": host, "port": 80}}]}, ".host")
        for host in ("localhost", "127.0.0.1", "0x7f.1", "2130706433", "[::1]", "A.example", "a.b:80", "a.b/c")
    ),
    Row("an unknown scheme", P, {PROBES: [{"name": "a", "http": {**HTTP, "scheme": "FTP"}}]}, "scheme"),
    Row("port 0", P, {PROBES: [{"name": "a", "http": {**HTTP, "port": 0}}]}, ".port"),
    Row("port 65536", P, {PROBES: [{"name": "a", "http": {**HTTP, "port": 65536}}]}, ".port"),
    Row("a path that is a URL", P, {PROBES: [{"name": "a", "http": {**HTTP, "path": "http://x/"}}]}, ".path"),
    Row("expectStatus 600", P, {PROBES: [{"name": "a", "http": {**HTTP, "expectStatus": 600}}]}, "expectStatus"),
    Row("a JSONPath with a filter", P, {PROBES: [
        {"name": "a", "http": {**HTTP, "expectVersion": {"jsonPath": "$..v"}}},
    ]}, "jsonPath"),
)  # fmt: skip

MANUAL: Final = {
    "spec.type": "Manual",
    "spec.requestedBy.kind": "User",
    "spec.requestedBy.name": "ann@shop.example",
    **{f"spec.{field}": ABSENT for field in ("targetVersion", "targetDigest", "fromVersion", "fromDigest")},
}

REVIEW: Final = {
    "rootCause": "the export left the scaling step out",
    "impact": "11 minutes of poor recommendations",
    "learnings": ["offline accuracy does not see skew"],
    "improvements": [
        {
            "description": "serve-time check of the scaler",
            "owner": "ml",
            "dueDate": "2026-02-01",
            "state": "Open",
        }
    ],
    "policyUpdated": "for: 5m became 2m",
}


def steps(*written: Document, proof: bool = True) -> Document:
    """A procedure as a policy writes it."""
    last = [{"name": "proof", "action": "Validate"}]
    return {"spec.steps": [*written, *(last if proof else [])]}


BACK: Final[Document] = {"name": "back", "action": "Revert", "component": "model"}
WARM: Final[Document] = {
    "name": "warm",
    "action": "Job",
    "job": {"template": {"spec": {"containers": [{"name": "w", "image": "w"}]}}},
}
TELL: Final[Document] = {"name": "tell", "action": "Notify"}

WRITTEN: Final = (
    Row("a procedure that is written out", P, steps(BACK, WARM, TELL)),
    Row("steps that revert nothing here", P, steps(TELL)),
    Row("a revert with a limit", P, steps({**BACK, "timeout": "20m"})),
    Row("no proof at the end", P, steps(BACK, proof=False), "steps end with their one Validate"),
    Row(
        "two proofs", P, steps({"name": "x", "action": "Validate"}, BACK), "steps end with their one Validate"
    ),
    Row("a component twice", P, steps(BACK, {**BACK, "name": "again"}), "steps revert each component once"),
    Row(
        "a revert of nothing", P, steps({"name": "back", "action": "Revert"}), "a Revert names the component"
    ),
    Row("a job of nothing", P, steps({"name": "warm", "action": "Job"}), "a Job says in job what it runs"),
    Row("a note with a limit", P, steps({**TELL, "timeout": "5m"}), "timeout is for Revert"),
    Row("a name of ours", P, steps({**TELL, "name": "restore-model"}), "are given by the operator"),
    Row("an action that has no behaviour yet", P, steps({**TELL, "action": "Pause"}), "action"),
    Row("two steps of one name", P, steps(TELL, TELL), "step"),
    Row("no finished Rollback kept", P, {"spec.historyLimit": 0}, "historyLimit"),
)

ROLLBACKS: Final = (
    Row("a Rollback", R),
    Row("a Rollback with an intent time", R, {"spec.intentAt": "2026-01-05T10:00:00.123Z"}),
    Row("intentAt with an offset", R, {"spec.intentAt": "2026-01-05T11:00:00+01:00"}),
    Row("intentAt without a zone", R, {"spec.intentAt": "2026-01-05T10:00:00"}, "intentAt"),
    Row("intentAt as a day", R, {"spec.intentAt": "2026-01-05"}, "intentAt"),
    Row("intentAt on a day that does not exist", R, {"spec.intentAt": "2026-02-30T10:00:00Z"}, "intentAt"),
    Row("an unknown intent", R, {"spec.intent": "Stop"}, "intent"),
    Row("a type that has no behaviour yet", R, {"spec.type": "Drill"}, ".type"),
    Row("a breach that a person asks for", R, {"spec.requestedBy.kind": "User"}, "requested by a Policy"),
    Row("a breach that judged nothing", R, {"spec.fromDigest": ABSENT}, "type Incident needs"),
    Row("a person's", R, MANUAL),
    Row("a person's, with a target", R, {**MANUAL, "spec.targetVersion": "v12"}),
    Row("a person's, by a policy", R, {**MANUAL, "spec.requestedBy.kind": "Policy"}, "requested by a Policy"),
    Row("by nobody", R, {**MANUAL, "spec.requestedBy.name": ""}, ".name"),
    Row("no reason", R, {"spec.reason": ABSENT}, "reason"),
    Row("a reason of 1025 characters", R, {"spec.reason": "x" * 1025}, "reason"),
    Row("a digest in capitals", R, {"spec.fromDigest": "9C41" * 16}, "fromDigest"),
    Row("a short digest", R, {"spec.fromDigest": "9c41"}, "fromDigest"),
    Row("an unknown onAbort", R, {"spec.onAbort": "Restart"}, "onAbort"),
    Row("a review", R, {"spec.review": REVIEW}),
    Row("a review that is begun", R, {"spec.review": {"impact": "nobody noticed"}}),
    Row("an improvement without words", R, {"spec.review": {"improvements": [{"description": ""}]}}, "description"),
    Row("an improvement due some day", R,
        {"spec.review": {"improvements": [{"description": "x", "dueDate": "soon"}]}}, "dueDate"),
    Row("an improvement in a state of its own", R,
        {"spec.review": {"improvements": [{"description": "x", "state": "Later"}]}}, "state"),
)  # fmt: skip

OBJECTS: Final = (*MODEL_DEPLOYMENTS, *ROLLBACK_POLICIES, *WRITTEN, *ROLLBACKS)

AT: Final = "spec.intentAt"
INTENT: Final = "spec.intent"
ONE: Final = "2026-01-05T10:00:00Z"
TWO: Final = "2026-01-05T10:05:00Z"

UPDATES: Final = (
    Update("nothing changes", RUNNING, {}, {}),
    Update("abort while it runs", RUNNING, {}, {INTENT: "Abort"}),
    Update("abort before it has a status", {}, {}, {INTENT: "Abort"}),
    Update("abort while halted", HALTED, {}, {INTENT: "Abort"}),
    Update("resume while halted", HALTED, {}, {INTENT: "Resume"}),
    Update("resume once more while halted", HALTED, {INTENT: "Resume", AT: ONE}, {INTENT: "Resume", AT: TWO}),
    Update("abort after a resume", RUNNING, {INTENT: "Resume"}, {INTENT: "Abort"}),
    Update("leave things as they are on abort", RUNNING, {}, {INTENT: "Abort", "spec.onAbort": "Leave"}),
    Update("finished and unchanged", FINISHED, {INTENT: "Abort"}, {INTENT: "Abort"}),
    Update("resume while it runs", RUNNING, {}, {INTENT: "Resume"}, "Halted"),
    Update("resume before it has a status", {}, {}, {INTENT: "Resume"}, "Halted"),
    Update("resume once more while it runs", RUNNING, {INTENT: "Resume"}, {INTENT: "Resume", AT: TWO}, "Halted"),
    Update("take an abort back", RUNNING, {INTENT: "Abort"}, {}, "intent"),
    Update("abort when finished", FINISHED, {}, {INTENT: "Abort"}, "finished"),
    Update("a new request when finished", FINISHED, {INTENT: "Abort"}, {INTENT: "Abort", AT: ONE}, "finished"),
    Update("a later request when finished", FINISHED, {AT: ONE}, {AT: TWO}, "finished"),
    Update("undo what succeeded", FINISHED, {}, {INTENT: "Undo"}),
    Update("undo once more", FINISHED, {INTENT: "Undo", AT: ONE}, {INTENT: "Undo", AT: TWO}),
    Update("undo while it runs", RUNNING, {}, {INTENT: "Undo"}, "Succeeded"),
    Update("undo before it has a status", {}, {}, {INTENT: "Undo"}, "Succeeded"),
    Update("undo what was aborted", ABORTED, {}, {INTENT: "Undo"}, "Succeeded"),
    Update("no target any more", RUNNING, MANUAL | {"spec.targetVersion": "v12"}, MANUAL, "targetVersion"),
    Update("a target later", RUNNING, MANUAL, MANUAL | {"spec.targetVersion": "v12"}, "targetVersion"),
    Update("another model", RUNNING, {}, {"spec.modelDeploymentRef.name": "x"}, "modelDeploymentRef"),
    Update("another policy", RUNNING, {}, {"spec.policyRef.name": "x"}, "policyRef"),
    Update("another target", RUNNING, {}, {"spec.targetVersion": "v11"}, "targetVersion"),
    Update("another bad version", RUNNING, {}, {"spec.fromVersion": "v14"}, "fromVersion"),
    Update("another digest", RUNNING, {}, {"spec.fromDigest": "0" * 64}, "fromDigest"),
    Update("another digest to put back", RUNNING, {}, {"spec.targetDigest": "0" * 64}, "targetDigest"),
    Update("another reason", RUNNING, {}, {"spec.reason": "because"}, "reason"),
    Update("another requester", RUNNING, {}, {"spec.requestedBy.name": "x"}, "requestedBy"),
)  # fmt: skip
