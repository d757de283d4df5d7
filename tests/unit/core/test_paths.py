"""Where a pin path leads, and what it says when it leads nowhere."""

import pytest

from model_rollback.core.paths import MISSING, Hop, PathError, Selector, parse, resolve

OBJECT = {
    "metadata": {"annotations": {"team.example/owner": "ml", "a~b": "tilde"}},
    "spec": {
        "containers": [
            {"image": "nameless:1"},
            {"name": "proxy", "image": "proxy:1", "ports": [{"containerPort": 8080, "protocol": "TCP"}]},
            {"name": "server", "image": "server:2", "env": [{"name": "DATA", "value": "set-1"}]},
        ]
    },
}

FOUND = {
    "a key in a key": (
        "metadata.annotations",
        "/metadata/annotations",
        OBJECT["metadata"]["annotations"],
        [],
    ),
    "a selector": (
        "spec.containers[name=server].image",
        "/spec/containers/2/image",
        "server:2",
        [("/spec/containers/2/name", "server")],
    ),
    "a selector in a selector": (
        "spec.containers[name=server].env[name=DATA].value",
        "/spec/containers/2/env/0/value",
        "set-1",
        [("/spec/containers/2/name", "server"), ("/spec/containers/2/env/0/name", "DATA")],
    ),
    "a selector on a number": (
        "spec.containers[name=proxy].ports[containerPort=8080].protocol",
        "/spec/containers/1/ports/0/protocol",
        "TCP",
        [("/spec/containers/1/name", "proxy"), ("/spec/containers/1/ports/0/containerPort", 8080)],
    ),
    "a quoted key with a dot and a slash": (
        'metadata.annotations["team.example/owner"]',
        "/metadata/annotations/team.example~1owner",
        "ml",
        [],
    ),
    "an index": ("spec.containers[0].image", "/spec/containers/0/image", "nameless:1", []),
    "a quoted key with a tilde": ('metadata.annotations["a~b"]', "/metadata/annotations/a~0b", "tilde", []),
}


@pytest.mark.parametrize("case", FOUND)
def test_where_a_path_leads(case):
    path, pointer, value, selectors = FOUND[case]

    found = resolve(path, OBJECT)

    assert (found.pointer, found.value, list(found.selectors)) == (pointer, value, selectors)


NOWHERE = {
    "a missing key": ("spec.replicas", "there is no 'replicas' at /spec"),
    "a missing first key": ("status", "there is no 'status' at /"),
    "no such element": ("spec.containers[name=gpu].image", "no element at /spec/containers has name=gpu"),
    "an element without that field is not called None": ("spec.containers[name=None].image", "has name=None"),
    "a selector on a map": ("spec[name=server]", "no element at /spec has name=server"),
    "an index too high": ("spec.containers[3].image", "there is no element 3 at /spec/containers"),
    "an index into a map": ("spec[0]", "there is no element 0 at /spec"),
    "a document where there is none": ("spec.containers[name=server].env|yaml", "env|yaml: there is no text"),
    "a key in a list": ("spec.containers.image", "there is no 'image' at /spec/containers"),
    "a key in a string": ("spec.containers[name=server].image.tag", "there is no 'tag'"),
}


@pytest.mark.parametrize("case", NOWHERE)
def test_a_path_that_leads_nowhere_says_where_it_stopped(case):
    path, says = NOWHERE[case]

    with pytest.raises(PathError, match=r".") as refused:
        resolve(path, OBJECT)

    assert says in str(refused.value)
    assert path in str(refused.value)


NO_PATHS = ["", "a..b", ".a", "a.", "a[b]", 'a["b"', "a[=x]", 'a["b"]c', "a b"]
NO_PATHS += ["|yaml", "a|toml", "a|yamlb", "a|", "a[-1]", "a[00000]"]


@pytest.mark.parametrize("path", NO_PATHS)
def test_what_is_no_path_is_refused_as_a_whole(path):
    with pytest.raises(PathError):
        parse(path)


def test_a_path_is_keys_and_selectors():
    assert parse('spec.containers[name=server]["x.y/z"].image') == (
        "spec",
        "containers",
        Selector("name", "server"),
        "x.y/z",
        "image",
    )


CONFIG = {
    "data": {
        "config.yaml": 'model: {uri: "s3://m/13"}\nextra: \'{"k": [1, {"id": "a", "w": 7}]}\'\n',
        "list": "- 1\n- 2",
    }
}

INSIDE = {
    "a value in a document": ('data["config.yaml"]|yaml.model.uri', "s3://m/13"),
    "a document as a whole": ("data.list|yaml", [1, 2]),
    "an index at the root of a document": ("data.list|yaml[1]", 2),
    "a document in a document": ('data["config.yaml"]|yaml.extra|json.k[1].w', 7),
    "a selector in a document": ('data["config.yaml"]|yaml.extra|json.k[id=a].w', 7),
}


@pytest.mark.parametrize("case", INSIDE)
def test_a_hop_goes_on_inside_a_document(case):
    path, value = INSIDE[case]

    found = resolve(path, CONFIG)

    assert found.value == value
    assert found.stored == resolve(path.partition("|")[0], CONFIG).value
    assert found.pointer == resolve(path.partition("|")[0], CONFIG).pointer
    assert found.selectors == ()


@pytest.mark.parametrize("case", INSIDE)
def test_what_is_rewritten_leads_to_the_new_value(case):
    path, value = INSIDE[case]
    found = resolve(path, CONFIG)
    key = found.pointer.removeprefix("/data/")

    written = found.rewritten(found.stored, "new")

    assert resolve(path, {"data": {**CONFIG["data"], key: written}}).value == "new"
    assert found.rewritten(found.stored, value) == found.stored, "nothing is laid out anew for nothing"


def test_a_way_that_ends_inside_a_document_says_where():
    with pytest.raises(PathError, match=r"there is no 'url' at /data/config.yaml\|yaml/model"):
        resolve('data["config.yaml"]|yaml.model.url', CONFIG)


@pytest.mark.parametrize(
    ("path", "missing"),
    [("metadata.labels", True), ("metadata.annotations", False), ("spec.containers[name=gpu].image", None)],
)
def test_an_optional_value_may_be_missing_and_its_parents_may_not(path, missing):
    if missing is None:
        with pytest.raises(PathError):
            resolve(path, OBJECT, optional=True)
    else:
        assert (resolve(path, OBJECT, optional=True).value is MISSING) is missing


def test_a_path_with_hops_is_parts_too():
    assert parse('data["c.json"]|json.a[0]|yaml') == ("data", "c.json", Hop("json"), "a", 0, Hop("yaml"))
