"""What a component's target is, from presets or from the component itself; and what is said when neither knows."""

import pytest

from model_rollback.api.v1alpha1.component import MAX_PINS
from model_rollback.core.kinds import problems, type_of
from model_rollback.core.paths import parse
from model_rollback.presets.kinds import PresetError, add_folder, target_kind, target_kinds
from tests.unit.core.builders import declared, make_component, make_system

CRON_JOB = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "features"}
CLASSIFIER = {"apiVersion": "ml.example/v1", "kind": "Classifier", "name": "recommender"}
SECRET = {"apiVersion": "v1", "kind": "Secret", "name": "recommender"}
PLAIN = {"preset": None, "container": None}
URI = {"name": "uri", "path": "spec.model.uri"}


def test_every_shipped_preset_is_whole():
    kinds = target_kinds().values()

    assert {k.kind for k in kinds} == {
        "Deployment", "StatefulSet", "DaemonSet", "CronJob", "ConfigMap", "Secret", "InferenceService", "RayService",
        "Rollout", "Model",
    }  # fmt: skip
    for kind in kinds:
        assert kind.presets
        for preset in kind.presets:
            names = [pin.name for pin in preset.pins]
            assert len(set(names)) == len(names) <= MAX_PINS
            for pin in preset.pins:
                parse(pin.path.replace("{container}", "server").replace("{env}", "URI"))
            wanted = {f"{{{word}}}" for word in preset.needs}
            assert {w for w in ("{container}", "{env}", "{podTemplate}") if w in str(preset.pins)} == wanted
        for field in (*kind.readiness.fields, *kind.readiness.failed.fields):
            parse(field.path)


DEFAULTS = {
    "Deployment": "PodTemplate",
    "StatefulSet": "PodTemplate",
    "DaemonSet": "PodTemplate",
    "CronJob": "CronJob",
    "ConfigMap": "ConfigMap",
    "Secret": "Secret",
    "InferenceService": "InferenceService",
    "RayService": "RayService",
    "Rollout": "Rollout",
    "Model": "Model",
}


@pytest.mark.parametrize("kind", target_kinds().values(), ids=lambda k: k.kind)
def test_the_default_preset(kind):
    assert kind.presets[0].name == DEFAULTS[kind.kind]
    target = {"apiVersion": kind.api_version, "kind": kind.kind, "name": "x"}
    assert type_of(make_component(targetRef=target, **PLAIN)).pins == kind.presets[0].pins


PATHS = {
    "an image": (
        {"preset": "ContainerImage", "container": "server"},
        {"image": "spec.template.spec.containers[name=server].image"},
    ),
    "an environment variable": (
        {"preset": "ContainerEnv", "container": "server", "env": "MODEL_URI"},
        {"value": "spec.template.spec.containers[name=server].env[name=MODEL_URI].value"},
    ),
    "arguments": (
        {"preset": "ContainerArgs", "container": "server"},
        {"args": "spec.template.spec.containers[name=server].args"},
    ),
    "an image in a CronJob": (
        {"preset": "ContainerImage", "container": "etl", "targetRef": CRON_JOB},
        {"image": "spec.jobTemplate.spec.template.spec.containers[name=etl].image"},
    ),
    "explicit pins": ({**PLAIN, "pins": [URI], "targetRef": CLASSIFIER}, {"uri": "spec.model.uri"}),
}


@pytest.mark.parametrize("case", PATHS)
def test_where_the_version_lives(case):
    component, paths = PATHS[case]

    assert {p.name: p.path for p in type_of(make_component(**component)).pins} == paths


def test_an_explicit_pin_on_the_whole_pod_template_ignores_restarts_like_the_preset():
    pins = [{"name": "template", "path": "spec.template"}]

    (explicit,) = type_of(make_component(**PLAIN, pins=pins)).pins
    (shipped,) = type_of(make_component(**PLAIN)).pins

    assert explicit == shipped


def test_secrets_are_confidential_whatever_pins_them():
    assert type_of(make_component(targetRef=SECRET, **PLAIN)).confidential
    pinned = make_component(targetRef=SECRET, **PLAIN, pins=[{"name": "key", "path": "data.key"}])
    assert type_of(pinned).confidential
    assert not type_of(make_component()).confidential


PROBLEMS = {
    "nothing": ({}, {}, []),
    "a preset of another kind": (
        {**PLAIN, "preset": "InferenceService"},
        {},
        [
            "components.0.preset",
            "a Deployment has no preset 'InferenceService'",
            "PodTemplate, ContainerImage",
        ],
    ),
    "an unknown kind": (
        {**PLAIN, "targetRef": CLASSIFIER},
        {},
        ["components.0.targetRef", "no preset knows the kind Classifier of ml.example/v1", "say in pins"],
    ),
    "a known kind of another version": (
        {**PLAIN, "targetRef": {**CRON_JOB, "apiVersion": "batch/v1beta1"}},
        {},
        ["components.0.targetRef", "(one knows batch/v1)"],
    ),
    "a parameter that the preset does not take": (
        {"preset": "CronJob", "container": "etl", "targetRef": CRON_JOB},
        {},
        ["components.0.container", "preset CronJob takes no container"],
    ),
    "a path that cannot be read": (
        {**PLAIN, "pins": [{"name": "uri", "path": "spec..uri"}]},
        {},
        ["components.0.pins.0.path", "'spec..uri' cannot be read from '..uri' on"],
    ),
    "a readiness path that cannot be read": (
        {"readiness": {"fields": [{"path": "status[", "equals": "x"}]}},
        {},
        ["components.0.readiness.fields.0.path", "cannot be read from '[' on"],
    ),
    "a version of a pin that is not there": (
        {**PLAIN, "pins": [URI]},
        {"versions": [declared("v12")]},
        ["versions.0.values.0", "component 'model' has no pin 'image'; it has uri"],
    ),
    "a version of what is only recorded": (
        {"preset": "ContainerArgs"},
        {"versions": [{"name": "v12", "values": [{"component": "model", "pin": "args", "value": "[]"}]}]},
        [
            "versions.0.values.0",
            "'args' of component 'model' is recorded from what runs and cannot be declared",
        ],
    ),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_what_is_wrong_and_where(case):
    component, system, words = PROBLEMS[case]

    found = [
        f"{'.'.join(map(str, where))}: {what}"
        for where, what in problems(make_system([make_component(**component)], **system))
    ]

    assert len(found) == bool(words)
    for word in words:
        assert word in found[0]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What it brings is known until the test ends."""
    monkeypatch.setattr("model_rollback.presets.kinds._EXTRA", {})
    return tmp_path


NEW_KIND = """\
apiVersion: ml.example/v1
kind: Classifier
resource: classifiers
readiness: {conditions: [{type: Serving}]}
presets:
- name: Classifier
  pins: [{name: uri, path: spec.model.uri}]
"""


def test_a_new_kind_is_one_new_file(folder):
    folder.joinpath("classifier.yaml").write_text(NEW_KIND)
    component = make_component(targetRef=CLASSIFIER, **PLAIN)
    assert list(problems(make_system([component])))

    add_folder(folder)

    assert not list(problems(make_system([component])))
    assert type_of(component).pins[0].path == "spec.model.uri"
    assert target_kind("ml.example/v1", "Classifier")
    assert target_kind("apps/v1", "Deployment"), "the shipped ones are still there"


BAD_FILES = {
    "not YAML": ("a: [", "kind.yaml is not YAML"),
    "nothing": ("", "kind.yaml: "),
    "an unknown field": (NEW_KIND + "plural: x\n", "plural"),
    "no presets": ("apiVersion: a/v1\nkind: A\nresource: as\n", "neither presets nor a podTemplate"),
    "a preset without pins": (
        NEW_KIND.replace("[{name: uri, path: spec.model.uri}]", "[]"),
        "presets.0.pins",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_cannot_be_used_is_named(case, folder):
    text, says = BAD_FILES[case]
    folder.joinpath("kind.yaml").write_text(text)

    with pytest.raises(PresetError, match=r"^kind\.yaml") as refused:
        add_folder(folder)

    assert says in str(refused.value)
