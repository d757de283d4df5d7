"""Names that appear on the wire: API group, plurals, annotation and label keys, the field manager.

They are contract: dashboards, scripts and `ignoreDifferences` rules outside this project spell them out.
"""

from typing import Final

GROUP: Final = "modelrollback.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
CATEGORY: Final = "modelrollback"

FIELD_MANAGER: Final = "model-rollback-operator"
REPORTING_CONTROLLER: Final = f"{GROUP}/operator"

ANNOTATION_LAST_WRITE: Final = f"{GROUP}/last-write"
"""On a target: `<rollback>/<step>/<epoch>` of our newest write, tested by the next one."""

ANNOTATION_EVIDENCE: Final = f"{GROUP}/evidence"
"""On a Rollback: the evidence of the breach, as JSON, from its creation until its plan records it in the status."""

ANNOTATION_ROLLBACK: Final = f"{GROUP}/rollback"
"""On a Job of ours: the Rollback that it was made for."""

ANNOTATION_SUSPENDED: Final = f"{GROUP}/suspended"
"""On a Job of ours: why the operator suspended it."""

LABEL_MODEL_DEPLOYMENT: Final = f"{GROUP}/model-deployment"
LABEL_POLICY: Final = f"{GROUP}/policy"
LABEL_VERSION: Final = f"{GROUP}/version"

LABEL_APP_VERSION: Final = "app.kubernetes.io/version"
ANNOTATION_RESTARTED_BY: Final = f"{GROUP}/restarted-by"
"""On a pod template that was restarted because something it reads was put back: `<rollback>/<step>/<epoch>`."""

ANNOTATION_RESTARTED_AT: Final = "kubectl.kubernetes.io/restartedAt"


def label_value(name: str) -> str:
    """A name as the value of a label: at most 63 characters, and no dot or dash at the cut."""
    return name[:63].rstrip("-._")
