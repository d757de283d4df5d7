"""The cases: for each a component, its objects in two versions, and where a test looks for the version."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

Manifest = dict[str, Any]
PASSWORDS = {"v12": "correct horse battery", "v13": "staple stapler"}


@dataclass(frozen=True)
class Case:
    """One ModelDeployment with the objects that it protects.

    Attributes:
        make: version and name → the target, and after it what belongs to it.
        component: the fields of the first component beside its name and its target.
        at: the target → what is looked for in it.
        expect: what is there in v12.
        script: how the played controller answers the revert.
        others: more components.
        declared: the values of v12 when it is declared, else it is recorded.
        step_timeout: of its policy.
    """

    make: Callable[[str, str], list[Manifest]]
    component: Manifest
    at: Callable[[Manifest], Any]
    expect: Any
    script: str = "ready"
    others: tuple[Manifest, ...] = ()
    declared: tuple[Manifest, ...] = ()
    step_timeout: str = "60s"


def labels(version: str, name: str) -> Manifest:
    return {"app": name, "app.kubernetes.io/version": version}


def pods(version: str, name: str, **container: Any) -> Manifest:
    server = {"name": "server", "image": f"registry.example/{name}:{version}", **container}
    return {"metadata": {"labels": labels(version, name)}, "spec": {"containers": [server]}}


def workload(kind: str, **container: Callable[[str], Any]) -> Callable[[str, str], list[Manifest]]:
    """A Deployment, StatefulSet or DaemonSet whose container has those fields, made from the version."""

    def make(version: str, name: str) -> list[Manifest]:
        fields = {key: made(version) for key, made in container.items()}
        fields = {key: value for key, value in fields.items() if value is not None}
        spec: Manifest = {
            "selector": {"matchLabels": {"app": name}},
            "template": pods(version, name, **fields),
        }
        if kind != "DaemonSet":
            # Somebody scales while the bad version runs: that is not the rollback's to undo.
            spec["replicas"] = 1 if version == "v12" else 2
        if kind == "StatefulSet":
            spec["serviceName"] = name
        return [{"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}]

    return make


def container_of(target: Manifest) -> Manifest:
    found: Manifest = target["spec"]["template"]["spec"]["containers"][0]
    return found


def image_of(target: Manifest) -> str:
    return str(container_of(target)["image"]).rpartition(":")[2]


def cron_job(version: str, name: str) -> list[Manifest]:
    template = pods(version, name, env=[{"name": "DATASET", "value": f"lakefs://shop/features@{version}"}])
    template["spec"]["restartPolicy"] = "Never"
    spec = {"schedule": "0 3 1 1 *", "jobTemplate": {"spec": {"template": template}}}
    return [{"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name}, "spec": spec}]


def cron_container(target: Manifest) -> Manifest:
    found: Manifest = target["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    return found


def plain(api_version: str, kind: str, version: str, name: str, **body: Any) -> Manifest:
    metadata = {"name": name, "labels": labels(version, name)}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **body}


def reader(name: str) -> Manifest:
    """The workload that reads `name`; it has one version only."""
    return workload("Deployment")("v1", f"{name}-reader")[0]


def config_map(version: str, name: str) -> list[Manifest]:
    data = {"model.yaml": config(version), "limits": "10" if version == "v12" else "0"}
    return [plain("v1", "ConfigMap", version, name, data=data), reader(name)]


def config(version: str) -> str:
    return f"# asked for by ml-platform\nmodel:\n  uri: s3://models/{version}   # pinned\ntimeout: 5s\n"


def secret(version: str, name: str) -> list[Manifest]:
    data = {"password": base64.b64encode(PASSWORDS[version].encode()).decode()}
    return [plain("v1", "Secret", version, name, data=data), reader(name)]


def inference_service(version: str, name: str) -> list[Manifest]:
    model: Manifest = {"modelFormat": {"name": "sklearn"}, "storageUri": f"s3://models/{version}"}
    if version == "v13":
        model["runtimeVersion"] = "2.0"
    predictor = {"minReplicas": 1, "model": model}
    return [
        plain("serving.kserve.io/v1beta1", "InferenceService", version, name, spec={"predictor": predictor})
    ]


def old_inference_service(framework: str) -> Callable[[str, str], list[Manifest]]:
    """A field for each framework, as it stays where KServe's webhook does not rewrite it to `model`."""

    def make(version: str, name: str) -> list[Manifest]:
        predictor = {framework: {"storageUri": f"s3://models/{version}", "runtimeVersion": "1.3"}}
        return [
            plain(
                "serving.kserve.io/v1beta1", "InferenceService", version, name, spec={"predictor": predictor}
            )
        ]

    return make


def custom_predictor(version: str, name: str) -> list[Manifest]:
    server = {"name": "kserve-container", "image": f"registry.example/{name}:{version}"}
    spec = {"predictor": {"containers": [server]}}
    return [plain("serving.kserve.io/v1beta1", "InferenceService", version, name, spec=spec)]


def ray_cluster(version: str, name: str) -> list[Manifest]:
    """A release that brings its working directory, its Ray and its images, and somebody who adds workers."""
    (service,) = ray_service(version, name)
    template = pods(version, name)
    service["spec"]["rayClusterConfig"] = {
        "rayVersion": "2.9.0" if version == "v12" else "2.10.0",
        "headGroupSpec": {"rayStartParams": {"dashboard-host": "0.0.0.0"}, "template": template},
        "workerGroupSpecs": [
            {"groupName": "gpu", "replicas": 1 if version == "v12" else 2, "template": template}
        ],
    }
    return [service]


def ray_images(target: Manifest) -> tuple[Any, ...]:
    """What the head and the workers run, Ray's version and what is served, and how many workers there are."""
    config = target["spec"]["rayClusterConfig"]
    (workers,) = config["workerGroupSpecs"]
    images = [image_of({"spec": group}) for group in (config["headGroupSpec"], workers)]
    return (*images, config["rayVersion"], applications(target), workers["replicas"])


def ray_service(version: str, name: str) -> list[Manifest]:
    serve = f"""\
# served by ml-platform
http_options: {{port: 8000}}
applications:
- name: recommender
  import_path: serve:app
  runtime_env:
    working_dir: "https://models.example/{version}.zip"   # the version
"""
    return [plain("ray.io/v1", "RayService", version, name, spec={"serveConfigV2": serve})]


def applications(target: Manifest) -> Any:
    return yaml.safe_load(target["spec"]["serveConfigV2"])["applications"][0]["runtime_env"]["working_dir"]


def rollout(version: str, name: str) -> list[Manifest]:
    spec = {"replicas": 1 if version == "v12" else 2, "template": pods(version, name)}
    return [plain("argoproj.io/v1alpha1", "Rollout", version, name, spec=spec)]


def seldon_model(version: str, name: str) -> list[Manifest]:
    spec = {"storageUri": "s3://models/recommender", "artifactVersion": int(version[1:])}
    return [plain("mlops.seldon.io/v1alpha1", "Model", version, name, spec=spec)]


def classifier(version: str, name: str) -> list[Manifest]:
    model = {"uri": f"s3://models/{version}", **({"tokenizer": "bpe"} if version == "v12" else {})}
    return [plain("ml.example/v1", "Classifier", version, name, spec={"model": model})]


def index(version: str, name: str) -> list[Manifest]:
    spec = {
        "dataset": f"lakefs://shop@{version}",
        "shards": 4 if version == "v12" else 1,
        "documents": [{"id": "a"}],
    }
    return [plain("search.example/v1alpha1", "Index", version, name, spec=spec)]


def declared_pair(version: str, name: str) -> list[Manifest]:
    return [*workload("Deployment")(version, name), *index(version, f"{name}-index")]


INDEX: Manifest = {
    "pins": [
        {"name": "dataset", "path": "spec.dataset", "role": "Inference"},
        {"name": "shards", "path": "spec.shards"},
    ],
    "readiness": {"fields": [{"path": "status.state", "equals": "Serving"}]},
}
NEVER_READY = "45s"
"""Step time-out where the status has no word for giving up: the controller says not ready, for as long as one asks.

All cases are put back at once: the played controllers must have come to each of them before its step times out.
"""
CRON_ENV = "spec.jobTemplate.spec.template.spec.containers[name=server].env[name=DATASET].value"


def restarts(name: str) -> Manifest:
    return {"restart": [{"kind": "Deployment", "name": f"{name}-reader"}]}


def parts_of(kind: str) -> dict[str, Case]:
    """One part of the pod template of a Deployment, StatefulSet or DaemonSet is the version."""
    return {
        "image": Case(
            workload(kind), {"preset": "ContainerImage", "container": "server"}, image_of, "v12"
        ),
        "env": Case(
            workload(kind, env=lambda v: [{"name": "MODEL_URI", "value": f"s3://m/{v}"}], image=lambda _: "r/m:1"),
            {"preset": "ContainerEnv", "container": "server", "env": "MODEL_URI"},
            lambda t: container_of(t)["env"],
            [{"name": "MODEL_URI", "value": "s3://m/v12"}],
        ),
        "args": Case(
            workload(kind, args=lambda v: None if v == "v12" else ["--model", v], image=lambda _: "r/m:1"),
            {"preset": "ContainerArgs", "container": "server"},
            lambda t: container_of(t).get("args"),
            None,
        ),
    }  # fmt: skip


CASES: Mapping[str, Case] = {
    **{
        f"{kind.lower()}-{preset}": case
        for kind in ("Deployment", "StatefulSet", "DaemonSet")
        for preset, case in parts_of(kind).items()
    },
    "statefulset": Case(workload("StatefulSet"), {}, image_of, "v12"),
    "daemonset": Case(workload("DaemonSet"), {}, image_of, "v12"),
    "cronjob": Case(cron_job, {}, lambda t: cron_container(t)["image"][-3:], "v12"),
    "cronjob-env": Case(
        cron_job,
        {"pins": [{"name": "dataset", "path": CRON_ENV, "role": "Training"}]},
        lambda t: (cron_container(t)["env"][0]["value"], cron_container(t)["image"][-3:]),
        ("lakefs://shop/features@v12", "v13"),
    ),
    "configmap": Case(config_map, restarts("configmap"), lambda t: t["data"]["model.yaml"], config("v12")),
    "configmap-key": Case(
        config_map,
        {"pins": [{"name": "uri", "path": 'data["model.yaml"]|yaml.model.uri'}]},
        lambda t: (t["data"]["model.yaml"], t["data"]["limits"]),
        (config("v12"), "0"),
    ),
    "secret": Case(secret, restarts("secret"), lambda t: base64.b64decode(t["data"]["password"]).decode(),
                   PASSWORDS["v12"]),
    "isvc-slow": Case(
        inference_service, {}, lambda t: t["spec"]["predictor"]["model"],
        {"modelFormat": {"name": "sklearn"}, "storageUri": "s3://models/v12"}, script="slow",
    ),
    "isvc-sklearn": Case(
        old_inference_service("sklearn"),
        {"pins": [{"name": "storage-uri", "path": "spec.predictor.sklearn.storageUri"}]},
        lambda t: t["spec"]["predictor"], {"sklearn": {"storageUri": "s3://models/v12", "runtimeVersion": "1.3"}},
        script="slow",
    ),
    "isvc-tensorflow": Case(
        old_inference_service("tensorflow"),
        {"pins": [{"name": "storage-uri", "path": "spec.predictor.tensorflow.storageUri"}]},
        lambda t: t["spec"]["predictor"]["tensorflow"]["storageUri"], "s3://models/v12", script="slow",
    ),
    "isvc-custom": Case(
        custom_predictor,
        {"pins": [{"name": "image", "path": "spec.predictor.containers[name=kserve-container].image"}]},
        lambda t: t["spec"]["predictor"]["containers"],
        [{"name": "kserve-container", "image": "registry.example/isvc-custom:v12"}], script="slow",
    ),
    "isvc-failing": Case(inference_service, {}, lambda _: "", "", script="failing"),
    "isvc-sklearn-failing": Case(
        old_inference_service("sklearn"),
        {"pins": [{"name": "storage-uri", "path": "spec.predictor.sklearn.storageUri"}]},
        lambda _: "", "", script="failing",
    ),
    "ray-slow": Case(ray_service, {}, applications, "https://models.example/v12.zip", script="slow"),
    "ray-failing": Case(ray_service, {}, lambda _: "", "", script="failing", step_timeout=NEVER_READY),
    "ray-working-dir": Case(
        ray_service,
        {"pins": [{
            "name": "working-dir",
            "path": "spec.serveConfigV2|yaml.applications[name=recommender].runtime_env.working_dir",
        }]},
        lambda t: t["spec"]["serveConfigV2"],
        ray_service("v12", "x")[0]["spec"]["serveConfigV2"],
        script="slow",
    ),
    "ray-cluster": Case(
        ray_cluster, {"preset": "RayServiceCluster"}, ray_images,
        ("v12", "v12", "2.9.0", "https://models.example/v12.zip", 1), script="slow",
    ),
    "ray-images": Case(
        ray_cluster,
        {"pins": [
            {"name": "ray", "path": "spec.rayClusterConfig.rayVersion"},
            {"name": "head", "path": "spec.rayClusterConfig.headGroupSpec.template"},
            {"name": "workers", "path": "spec.rayClusterConfig.workerGroupSpecs[groupName=gpu].template"},
        ]},
        ray_images, ("v12", "v12", "2.9.0", "https://models.example/v13.zip", 2), script="slow",
    ),
    "rollout-slow": Case(rollout, {}, image_of, "v12", script="slow"),
    "rollout-failing": Case(rollout, {}, lambda _: "", "", script="failing"),
    "seldon-slow": Case(seldon_model, {}, lambda t: t["spec"]["artifactVersion"], 12, script="slow"),
    "seldon-failing": Case(seldon_model, {}, lambda _: "", "", script="failing", step_timeout=NEVER_READY),
    "classifier-slow": Case(
        classifier, {}, lambda t: t["spec"]["model"], {"uri": "s3://models/v12", "tokenizer": "bpe"}, script="slow"
    ),
    "classifier-failing": Case(classifier, {}, lambda _: "", "", script="failing"),
    "index-slow": Case(index, INDEX, lambda t: (t["spec"]["dataset"], t["spec"]["shards"]), ("lakefs://shop@v12", 4),
                       script="slow"),
    "index-failing": Case(index, INDEX, lambda _: "", "", script="failing", step_timeout=NEVER_READY),
    "declared": Case(
        declared_pair,
        {"preset": "ContainerImage", "container": "server", "dependsOn": ["index"]},
        image_of,
        "v12",
        others=({"name": "index", "type": "Dataset", **INDEX},),
        declared=(
            {"component": "model", "pin": "image", "value": "registry.example/declared:v12"},
            {"component": "index", "pin": "dataset", "value": "lakefs://shop@v12"},
            {"component": "index", "pin": "shards", "value": "4"},
        ),
    ),
}  # fmt: skip


def target_ref(manifest: Manifest) -> Manifest:
    ref = {
        "apiVersion": manifest["apiVersion"],
        "kind": manifest["kind"],
        "name": manifest["metadata"]["name"],
    }
    return {**ref, "resource": "indices"} if manifest["kind"] == "Index" else ref


def model_deployment(name: str, case: Case) -> Manifest:
    target, *others = case.make("v12", name)
    components = [{"name": "model", "targetRef": target_ref(target), **case.component}]
    components += [
        {**other, "targetRef": target_ref(manifest)}
        for other, manifest in zip(case.others, others, strict=False)
    ]
    spec: Manifest = {
        "components": components,
        "versioning": {"stabilizeFor": "1s", "verifiedAfter": "1s"},
    }
    if case.declared:
        spec["versioning"]["record"] = "Declared"
        spec["versions"] = [{"name": "v12", "safe": "Verified", "values": list(case.declared)}]
    return plain("modelrollback.dev/v1alpha1", "ModelDeployment", "", name, spec=spec) | {
        "metadata": {"name": name}
    }


def policy(name: str) -> Manifest:
    """Its trigger is always Healthy; people start the rollbacks, so that no case waits for another's metric."""
    return {
        "apiVersion": "modelrollback.dev/v1alpha1",
        "kind": "RollbackPolicy",
        "metadata": {"name": name},
        "spec": {
            "modelDeploymentRef": {"name": name},
            "interval": "1s",
            "triggers": [
                {
                    "name": "none",
                    "query": "vector(1)",
                    "breach": {"operator": "GreaterThan", "threshold": "2"},
                }
            ],
            "validation": {"settle": "0s", "duration": "1s"},
            "execution": {"stepTimeout": CASES[name].step_timeout},
        },
    }


def rollback(name: str) -> Manifest:
    return {
        "apiVersion": "modelrollback.dev/v1alpha1",
        "kind": "Rollback",
        "metadata": {"name": name},
        "spec": {
            "modelDeploymentRef": {"name": name},
            "policyRef": {"name": name},
            "type": "Manual",
            "targetVersion": "v12",
            "reason": f"v13 of {name} is bad",
            "requestedBy": {"kind": "User", "name": "ann@shop.example"},
        },
    }
