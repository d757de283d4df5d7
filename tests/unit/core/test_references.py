"""What pods cannot start without, found in any kind that keeps a pod spec somewhere."""

import pytest

from model_rollback.core.references import references

CONTAINER = {
    "name": "server",
    "envFrom": [{"configMapRef": {"name": "env"}}, {"secretRef": {"name": "maybe", "optional": True}}],
    "env": [
        {"name": "A", "value": "1"},
        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "token", "key": "t"}}},
        {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "flags", "key": "c", "optional": True}}},
        {"name": "D", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ],
}
POD = {
    "serviceAccountName": "server",
    "initContainers": [{"name": "fetch", "envFrom": [{"configMapRef": {"name": "fetch"}}]}],
    "containers": [CONTAINER, CONTAINER],
    "volumes": [
        {"name": "config", "configMap": {"name": "config"}},
        {"name": "tls", "secret": {"secretName": "tls"}},
        {"name": "extra", "configMap": {"name": "extra", "optional": True}},
        {"name": "models", "persistentVolumeClaim": {"claimName": "models"}},
        {"name": "scratch", "emptyDir": {}},
        {
            "name": "all",
            "projected": {"sources": [{"secret": {"name": "ca"}}, {"serviceAccountToken": {"path": "t"}}]},
        },
    ],
}
NEEDED = [
    "ConfigMap config",
    "ConfigMap env",
    "ConfigMap fetch",
    "PersistentVolumeClaim models",
    "Secret ca",
    "Secret tls",
    "Secret token",
    "ServiceAccount server",
]
PLACES = {
    "a Deployment": {"spec": {"template": {"spec": POD}}},
    "a CronJob": {"spec": {"jobTemplate": {"spec": {"template": {"spec": POD}}}}},
    "a kind of its own": {"spec": {"workers": [{"pod": POD}]}},
}


@pytest.mark.parametrize("place", PLACES)
def test_everything_that_is_not_optional_is_found_once(place):
    assert [str(r) for r in references(PLACES[place])] == NEEDED


@pytest.mark.parametrize("obj", [{}, {"spec": None}, {"spec": {"containers": "none"}}, {"data": {"a": "b"}}])
def test_an_object_without_pods_needs_nothing(obj):
    assert references(obj) == []
