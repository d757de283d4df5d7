"""Finds one valid RollbackPolicy, and its ModelDeployment, among documents."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from pydantic import ValidationError

from model_rollback.api.v1alpha1 import ModelDeployment, RollbackPolicy
from model_rollback.cli.documents import Document, UnusableError, show_path
from model_rollback.cli.findings import Remark, explain
from model_rollback.cli.linting import measurement_problems

M = TypeVar("M", RollbackPolicy, ModelDeployment)


def unusable(document: Document, remarks: Iterable[Remark]) -> UnusableError:
    """The remarks as an error with a line for each."""
    lines = []
    for remark in remarks:
        position = document.position(remark.path)
        mend = f" ({remark.mend})" if remark.mend else ""
        field = f"{show_path(remark.path)}: " if remark.path else ""
        lines.append(f"{document.file}:{position.line}:{position.column}: {field}{remark.message}{mend}")
    return UnusableError("\n".join(lines))


def find_policy(
    documents: Sequence[Document], where: str, name: str | None = None
) -> tuple[RollbackPolicy, ModelDeployment | None]:
    """The only RollbackPolicy, or the one of that name, and the ModelDeployment that it protects if it is there too.

    Args:
        where: what named these documents, for messages.

    Raises:
        UnusableError: there is not exactly one, or it is not valid.
    """
    policies = [d for d in documents if _kind(d) == "RollbackPolicy" and name in (None, _name(d))]
    if len(policies) != 1:
        called = f" {name!r}" if name is not None else ""
        found = f": {', '.join(_name(d) for d in policies)}" if policies else ""
        raise UnusableError(
            f"{where}: there must be exactly one RollbackPolicy{called} in it, not {len(policies)}{found}"
        )
    policy = _validated(policies[0], RollbackPolicy)
    unparsed = list(measurement_problems(policy, policies[0].data))
    if unparsed:
        raise unusable(policies[0], unparsed)
    wanted = policy.spec.model_deployment_ref.name
    system = next((d for d in documents if _kind(d) == "ModelDeployment" and _name(d) == wanted), None)
    return policy, _validated(system, ModelDeployment) if system is not None else None


def _kind(document: Document) -> str:
    return str(document.data.get("kind", "")) if isinstance(document.data, dict) else ""


def _name(document: Document) -> str:
    metadata = document.data.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""


def _validated(document: Document, model: type[M]) -> M:
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise unusable(document, explain(error, model)) from error
