"""Reading a version out of an object, telling versions apart, and writing one back and nothing else."""

import copy

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_rollback.api.group import ANNOTATION_LAST_WRITE, ANNOTATION_RESTARTED_AT
from model_rollback.core.kinds import TargetType, type_of
from model_rollback.core.paths import PathError
from model_rollback.core.pins import build_patch, digest, last_write, read, show, show_all, version_digest
from model_rollback.presets.kinds import PinPreset, ReadinessRule
from tests.unit.core.builders import deployment, make_component

IMAGE = make_component()
TEMPLATE = make_component(preset="PodTemplate", container=None)
SIGNATURE = "recommender-1a2b3c4d5e/revert-model/3"


def apply(operations, obj):
    """As the API server does it: there, a missing value tests equal to null."""
    result = copy.deepcopy(obj)
    for operation in operations:
        try:
            result = jsonpatch.apply_patch(result, [operation])
        except jsonpatch.JsonPatchTestFailed:
            found = jsonpatch.JsonPointer(operation["path"]).resolve(result, None)
            if operation["value"] is not None or found is not None:
                raise
    return result


def patch(component, obj, wanted):
    return build_patch(type_of(component), obj, wanted, SIGNATURE)


def template_of(obj):
    return read(type_of(TEMPLATE), obj)["template"]


def test_the_version_of_a_container_is_its_image():
    assert read(type_of(IMAGE), deployment()) == {"image": "shop/recommender:v13"}


def test_the_version_of_a_pod_template_is_all_of_it_but_its_creation_time():
    template = template_of(deployment())

    assert template["metadata"] == {"labels": {"app": "model"}}
    assert [c["name"] for c in template["spec"]["containers"]] == ["proxy", "server"]


SAME_VERSION = {
    "a restart": {ANNOTATION_RESTARTED_AT: "2026-01-05T10:00:00Z"},
    "a note of ours": {ANNOTATION_LAST_WRITE: SIGNATURE},
    "any annotation of ours": {"modelrollback.dev/anything": "x"},
    "no annotations at all": {},
}


@pytest.mark.parametrize("annotations", SAME_VERSION.values(), ids=SAME_VERSION)
def test_what_makes_no_new_version(annotations):
    touched = deployment()
    touched["spec"]["template"]["metadata"]["annotations"] = annotations

    assert digest(template_of(touched)) == digest(template_of(deployment()))


def change_env(template):
    template["spec"]["containers"][1]["env"][0]["value"] = "debug"


def annotate(template):
    template["metadata"]["annotations"] = {"team.example/config": "2"}


def relabel(template):
    template["metadata"]["labels"]["track"] = "canary"


@pytest.mark.parametrize("change", [change_env, annotate, relabel])
def test_what_makes_a_new_version(change):
    changed = deployment()
    change(changed["spec"]["template"])

    assert digest(template_of(changed)) != digest(template_of(deployment()))


def test_a_container_that_is_not_there_is_named():
    with pytest.raises(PathError, match="name=gpu"):
        read(type_of(make_component(container="gpu")), deployment())


def test_long_values_and_objects_are_shown_by_their_digest():
    assert show("v13") == "v13"
    assert show("x" * 1024) == "x" * 1024
    assert show("x" * 1025).startswith("sha256:")
    assert show({"b": 1, "a": 2}) == show({"a": 2, "b": 1})
    assert show_all({"image": "v13", "template": {}}) == {"image": "v13", "template": f"sha256:{digest({})}"}


def test_a_version_is_all_its_components_in_any_order():
    one = version_digest({"model": {"image": "a"}, "features": {"image": "b"}})

    assert one == version_digest({"features": {"image": "b"}, "model": {"image": "a"}})
    assert one != version_digest({"model": {"image": "b"}, "features": {"image": "a"}})
    assert len(one) == 64


def test_the_operations_of_a_patch():
    obj = deployment(annotations={ANNOTATION_LAST_WRITE: "older/revert-model/1"})

    assert patch(IMAGE, obj, {"image": "shop/recommender:v12"}) == [
        {"op": "test", "path": "/metadata/uid", "value": "uid-model"},
        {"op": "test", "path": "/spec/template/spec/containers/1/name", "value": "server"},
        {"op": "test", "path": "/spec/template/spec/containers/1/image", "value": "shop/recommender:v13"},
        {"op": "replace", "path": "/spec/template/spec/containers/1/image", "value": "shop/recommender:v12"},
        {
            "op": "test",
            "path": "/metadata/annotations/modelrollback.dev~1last-write",
            "value": "older/revert-model/1",
        },
        {"op": "add", "path": "/metadata/annotations/modelrollback.dev~1last-write", "value": SIGNATURE},
    ]


ANNOTATIONS = {
    "no annotations": {},
    "annotations of others": {"annotations": {"team.example/owner": "ml"}},
    "our own earlier write": {"annotations": {ANNOTATION_LAST_WRITE: "older/revert-model/1"}},
}


@pytest.mark.parametrize("metadata", ANNOTATIONS.values(), ids=ANNOTATIONS)
def test_a_patch_changes_the_pin_and_our_annotation_and_applies_once(metadata):
    obj = deployment(**metadata)
    operations = patch(IMAGE, obj, {"image": "shop/recommender:v12"})

    after = apply(operations, obj)

    expected = deployment("shop/recommender:v12", **copy.deepcopy(metadata))
    expected["metadata"]["annotations"] = {
        **metadata.get("annotations", {}),
        ANNOTATION_LAST_WRITE: SIGNATURE,
    }
    assert after == expected
    assert last_write(after) == SIGNATURE
    with pytest.raises(jsonpatch.JsonPatchTestFailed):
        apply(operations, after)


def scale(obj):
    obj["spec"]["replicas"] = 7
    obj["status"]["replicas"] = 7


def annotate_object(obj):
    obj["metadata"]["annotations"] = {**obj["metadata"].get("annotations", {}), "team.example/note": "x"}


@pytest.mark.parametrize("disturb", [scale, annotate_object])
def test_what_others_do_elsewhere_is_no_conflict_and_is_kept(disturb):
    obj = deployment(annotations={"team.example/owner": "ml"})
    operations = patch(IMAGE, obj, {"image": "shop/recommender:v12"})
    disturb(obj)

    after = apply(operations, obj)

    assert after["spec"]["template"]["spec"]["containers"][1]["image"] == "shop/recommender:v12"
    assert after["spec"]["replicas"] == obj["spec"]["replicas"]
    assert after["metadata"]["annotations"].items() >= obj["metadata"]["annotations"].items()


def deploy_third(obj):
    obj["spec"]["template"]["spec"]["containers"][1]["image"] = "shop/recommender:v14"


def recreate(obj):
    obj["metadata"]["uid"] = "uid-of-another"


def reorder(obj):
    obj["spec"]["template"]["spec"]["containers"].reverse()


def write_again(obj):
    obj["metadata"]["annotations"][ANNOTATION_LAST_WRITE] = "another/revert-model/9"


@pytest.mark.parametrize("disturb", [deploy_third, recreate, reorder, write_again])
def test_what_makes_the_write_wrong_makes_it_fail(disturb):
    obj = deployment(annotations={ANNOTATION_LAST_WRITE: "older/revert-model/1"})
    operations = patch(IMAGE, obj, {"image": "shop/recommender:v12"})
    disturb(obj)

    with pytest.raises(jsonpatch.JsonPatchTestFailed):
        apply(operations, obj)


def test_a_late_duplicate_after_the_old_value_came_back_fails():
    obj = deployment(annotations={"team.example/owner": "ml"})
    forth = patch(IMAGE, obj, {"image": "shop/recommender:v12"})
    there = apply(forth, obj)
    back_again = apply(
        build_patch(type_of(IMAGE), there, {"image": "shop/recommender:v13"}, "r/restore-model/3"),
        there,
    )

    with pytest.raises(jsonpatch.JsonPatchTestFailed):
        apply(forth, back_again)


names = st.text("abcdefg-", min_size=1, max_size=6)
annotation_maps = st.dictionaries(st.sampled_from(["a", "team.example/owner", "x~y/z"]), names)


@st.composite
def deployments(draw):
    containers = draw(st.lists(st.fixed_dictionaries({"name": names, "image": names}), max_size=3))
    obj = deployment()
    obj["spec"]["template"]["spec"]["containers"] = [
        *[c for c in containers if c["name"] != "server"],
        {"name": "server", "image": draw(names)},
    ]
    obj["spec"]["replicas"] = draw(st.integers(0, 5))
    if draw(st.booleans()):
        obj["metadata"]["annotations"] = draw(annotation_maps)
    if draw(st.booleans()):
        obj["spec"]["template"]["metadata"]["annotations"] = draw(annotation_maps)
    return obj


def without(obj, component):
    """The object with the pin and our annotation cut out."""
    obj = copy.deepcopy(obj)
    obj["metadata"].setdefault("annotations", {}).pop(ANNOTATION_LAST_WRITE, None)
    if component is TEMPLATE:
        del obj["spec"]["template"]
    else:
        server = next(c for c in obj["spec"]["template"]["spec"]["containers"] if c["name"] == "server")
        del server["image"]
    return obj


@given(deployments(), deployments(), st.sampled_from([IMAGE, TEMPLATE]))
def test_a_patch_touches_the_pins_and_our_annotation_only(obj, donor, component):
    wanted = read(type_of(component), donor)

    after = apply(patch(component, obj, wanted), obj)

    assert read(type_of(component), after) == wanted
    assert last_write(after) == SIGNATURE
    assert without(after, component) == without(obj, component)


@given(deployments(), deployments(), st.sampled_from([IMAGE, TEMPLATE]))
def test_a_patch_never_applies_twice(obj, donor, component):
    operations = patch(component, obj, read(type_of(component), donor))

    after = apply(operations, obj)

    with pytest.raises(jsonpatch.JsonPatchTestFailed):
        apply(operations, after)


RAY = TargetType(
    readiness=ReadinessRule(),
    pins=(
        PinPreset(name="dir", path="spec.serveConfigV2|yaml.applications[name=a].dir"),
        PinPreset(name="replicas", path="spec.serveConfigV2|yaml.applications[name=a].n"),
        PinPreset(name="version", path="spec.rayVersion", optional=True),
    ),
)
SERVE = "# ours\napplications:\n- name: a\n  dir: v13   # pinned\n  n: 2\n"


def ray(serve=SERVE, **spec):
    obj = deployment()
    obj["spec"] = {"serveConfigV2": serve, **spec}
    return obj


def test_pins_in_one_document_are_one_write_of_the_whole_string():
    operations = build_patch(RAY, ray(), {"dir": "v12", "replicas": 1, "version": None}, SIGNATURE)

    written = [o for o in operations if o["path"] == "/spec/serveConfigV2"]
    assert written == [
        {"op": "test", "path": "/spec/serveConfigV2", "value": SERVE},
        {
            "op": "replace",
            "path": "/spec/serveConfigV2",
            "value": SERVE.replace("v13", "v12").replace("n: 2", "n: 1"),
        },
    ]


def test_layout_and_comments_of_a_document_make_no_version():
    assert read(RAY, ray()) == {"dir": "v13", "replicas": 2, "version": None}
    assert read(RAY, ray('{applications: [{"n": 2, "dir": "v13", "name": a}]}')) == read(RAY, ray())


OPTIONAL = {
    "is added": ({}, "2.9.0"),
    "is changed": ({"rayVersion": "2.10.0"}, "2.9.0"),
    "is taken away": ({"rayVersion": "2.10.0"}, None),
    "stays away": ({}, None),
}


@pytest.mark.parametrize("case", OPTIONAL)
def test_an_optional_pin(case):
    spec, wanted = OPTIONAL[case]
    obj = ray(**spec)
    now = read(RAY, obj)

    operations = build_patch(RAY, obj, {**now, "version": wanted}, SIGNATURE)

    after = apply(operations, obj)
    assert read(RAY, after) == {**now, "version": wanted}
    assert ("rayVersion" in after["spec"]) is (wanted is not None)
    disturbed = ray(rayVersion="3")
    with pytest.raises(jsonpatch.JsonPatchTestFailed):
        apply(operations, disturbed)


def test_no_two_values_are_shown_alike():
    different = ["3", 3, 3.0, True, "true", "json:3", None, "null", "", [], {}, "None", 'json:""']

    assert len({show(value) for value in different}) == len(different)


def test_what_says_nothing_of_a_pin_is_not_written():
    with pytest.raises(PathError, match="says nothing of image"):
        patch(IMAGE, deployment(), {})
