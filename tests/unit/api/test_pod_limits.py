"""What a pod that a policy brings along may not do. The API server takes these; the policy gets InvalidSpec."""

import pytest

from model_rollback.api.v1alpha1.probe import Probe
from tests.unit.api.objects import with_fields

SMOKE = {"spec": {"containers": [{"name": "smoke", "image": "registry.example/smoke:1"}]}}
CONTAINER = "spec.containers.0"
SECURITY = f"{CONTAINER}.securityContext"


def probe(template):
    return Probe.model_validate({"name": "smoke", "job": {"template": template}})


GOOD = {
    "the smallest": {},
    "labels and annotations": {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}},
    "no more than the default": {
        "spec.serviceAccountName": "default",
        "spec.restartPolicy": "Never",
        "spec.automountServiceAccountToken": False,
        "spec.hostNetwork": False,
    },
    "a harmless security context": {
        SECURITY: {"privileged": False, "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}}
    },
    "volumes of the namespace": {
        "spec.volumes": [
            {"name": "a", "emptyDir": {}},
            {"name": "b", "configMap": {"name": "cases"}},
            {"name": "c", "persistentVolumeClaim": {"claimName": "cases", "readOnly": True}},
        ]
    },
    "a variable from a ConfigMap": {
        f"{CONTAINER}.env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "b"}}}],
        f"{CONTAINER}.envFrom": [{"configMapRef": {"name": "a"}}],
    },
}


@pytest.mark.parametrize("case", GOOD)
def test_what_passes(case):
    assert probe(with_fields(SMOKE, GOOD[case])).kind == "job"


REFUSED = {
    "no spec": ({"spec": None}, "template.spec"),
    "no container": ({"spec.containers": []}, "template.spec.containers"),
    "containers that are none": ({"spec.containers": ["smoke"]}, "template.spec.containers"),
    "a container without an image": ({f"{CONTAINER}.image": ""}, "containers[0]"),
    "an unknown field": ({"restartPolicy": "Never"}, "restartPolicy"),
    "a name": ({"metadata": {"name": "x"}}, "template.metadata"),
    "another namespace": ({"metadata": {"namespace": "kube-system"}}, "template.metadata"),
    **{key: ({f"spec.{key}": True}, key) for key in ("hostNetwork", "hostPID", "hostIPC")},
    "a hostPath": ({"spec.volumes": [{"name": "a", "hostPath": {"path": "/"}}]}, "volumes[0].hostPath"),
    "a Secret as a volume": ({"spec.volumes": [{"name": "a", "secret": {"secretName": "s"}}]}, "volumes[0].secret"),
    "a projected token": ({"spec.volumes": [{"name": "a", "projected": {"sources": []}}]}, "volumes[0].projected"),
    "a claim to write to": (
        {"spec.volumes": [{"name": "a", "persistentVolumeClaim": {"claimName": "c"}}]},
        "readOnly: true",
    ),
    "a CSI volume": ({"spec.volumes": [{"name": "a", "csi": {"driver": "x"}}]}, "volumes[0].csi"),
    "another service account": ({"spec.serviceAccountName": "admin"}, "serviceAccountName"),
    "another service account by its old name": ({"spec.serviceAccount": "admin"}, "serviceAccount"),
    "a token": ({"spec.automountServiceAccountToken": True}, "automountServiceAccountToken"),
    "restarts": ({"spec.restartPolicy": "Always"}, "restartPolicy"),
    "a node of its choice": ({"spec.nodeName": "control-plane"}, "nodeName"),
    "a priority": ({"spec.priorityClassName": "system-node-critical"}, "priorityClassName"),
    "a privileged container": ({SECURITY: {"privileged": True}}, "privileged"),
    "escalation": ({SECURITY: {"allowPrivilegeEscalation": True}}, "allowPrivilegeEscalation"),
    "an unmasked /proc": ({SECURITY: {"procMount": "Unmasked"}}, "procMount"),
    "a capability": ({SECURITY: {"capabilities": {"add": ["SYS_ADMIN"]}}}, "capabilities.add"),
    "a device": ({f"{CONTAINER}.volumeDevices": [{"name": "a", "devicePath": "/dev/x"}]}, "volumeDevices"),
    "a port of the host": ({f"{CONTAINER}.ports": [{"containerPort": 80, "hostPort": 80}]}, "ports[0].hostPort"),
    "a Secret as a variable": (
        {f"{CONTAINER}.env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
        "env[0].valueFrom.secretKeyRef",
    ),
    "a Secret as all variables": ({f"{CONTAINER}.envFrom": [{"secretRef": {"name": "s"}}]}, "envFrom[0].secretRef"),
    "a privileged init container": (
        {"spec.initContainers": [{"name": "i", "image": "x", "securityContext": {"privileged": True}}]},
        "initContainers[0].securityContext.privileged",
    ),
    "a template of 17 kB": ({"metadata": {"annotations": {"a": "x" * 17000}}}, "16384 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_and_where(case):
    change, where = REFUSED[case]

    with pytest.raises(ValueError, match="template") as refusal:
        probe(with_fields(SMOKE, change))
    assert where in str(refusal.value)
