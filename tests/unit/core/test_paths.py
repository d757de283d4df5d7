"""Where a pin path leads, and what it says when it leads nowhere."""

import pytest

from model_rollback.core.paths import PathError, Selector, parse, resolve

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


@pytest.mark.parametrize("path", ["", "a..b", ".a", "a.", "a[b]", 'a["b"', "a[=x]", 'a["b"]c', "a b"])
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
