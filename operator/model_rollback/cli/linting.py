"""`kubectl rollback lint`: what is wrong with policies and ModelDeployments, found without a cluster."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter, ValidationError

from model_rollback.api.crd import KINDS
from model_rollback.api.group import API_VERSION, GROUP
from model_rollback.api.types import ObjectName
from model_rollback.api.v1alpha1 import ModelDeployment, ModelDeploymentSpec, RollbackPolicy
from model_rollback.cli.documents import Document, Step, UnusableError, expand, read
from model_rollback.cli.findings import Finding, Remark, Severity, closest, explain, find
from model_rollback.cli.rules import RULES, Case, name_of
from model_rollback.core.kinds import problems
from model_rollback.core.presets import Problem, problems_of, resolve_policy
from model_rollback.core.promql import find_fault

Place = tuple[str, str]
"""(namespace, name)."""

_NAME: Final[TypeAdapter[str]] = TypeAdapter(ObjectName)
_KINDS: Final[Mapping[str, type[BaseModel]]] = {kind.info.kind: kind for kind in KINDS}
_TOP: Final = ("apiVersion", "kind", "metadata", "spec", "status")


@dataclass(frozen=True, slots=True)
class Ours:
    """An object of our group, with its model when it is valid."""

    document: Document
    subject: str
    place: Place
    model: BaseModel | None

    @property
    def folder(self) -> str:
        """The directory of its file."""
        return str(Path(self.document.file).parent)


@dataclass(frozen=True, slots=True)
class Report:
    """What was found.

    Attributes:
        unusable: files that could not be read at all.
        checked: how many objects of ours were looked at.
    """

    findings: tuple[Finding, ...]
    unusable: tuple[str, ...]
    checked: int

    def exit_code(self, *, strict: bool) -> int:
        """2: a file is unusable, or there was nothing to check; 1: errors, when `strict` also warnings; 0."""
        if self.unusable or not self.checked:
            return 2
        bad = {Severity.ERROR, Severity.WARNING} if strict else {Severity.ERROR}
        return int(any(f.severity in bad for f in self.findings))


@dataclass(slots=True)
class _Gathered:
    findings: list[Finding] = field(default_factory=list)
    ours: list[Ours] = field(default_factory=list)


def lint(names: Sequence[str]) -> Report:
    """Looks at every document of the files, of `-`, and of the files in directories."""
    gathered = _Gathered()
    unusable: list[str] = []
    try:
        files = expand(names)
    except UnusableError as error:
        return Report((), (str(error),), 0)
    for file in files:
        try:
            for document in read(file):
                _gather(document, gathered)
        except UnusableError as error:
            unusable.append(str(error))
    gathered.findings += _across(gathered.ours)
    ordered = sorted(
        gathered.findings, key=lambda f: (files.index(f.file), f.position.line, f.position.column)
    )
    return Report(tuple(ordered), tuple(unusable), len(gathered.ours))


def _gather(document: Document, gathered: _Gathered) -> None:
    body = document.data
    if not isinstance(body, dict) or not _is_ours(body):
        gathered.findings.append(find("ignored", document, "", _ignored(body)))
        return
    kind = str(body.get("kind"))
    metadata = _metadata(body)
    name = str(metadata.get("name", ""))
    subject = f"{kind} {name}".strip()
    remarks = [*_envelope(body, kind), *_repeated(document)]
    model = _KINDS.get(kind)
    valid: BaseModel | None = None
    if model is not None:
        try:
            valid = model.model_validate(body)
            remarks += _target_problems(valid)
        except ValidationError as error:
            remarks += explain(error, model)
        for remark in measurement_problems(valid, body):
            rule = "promql" if remark.path[-1] == "query" else "preset"
            gathered.findings.append(find(rule, document, subject, remark))
    gathered.findings += [find("schema", document, subject, r) for r in remarks]
    place = (str(metadata.get("namespace", "")), name)
    gathered.ours.append(Ours(document, subject, place, valid))


def _target_problems(valid: BaseModel) -> Iterator[Remark]:
    for where, what in problems(valid.spec) if isinstance(valid, ModelDeployment) else ():
        yield Remark(Severity.ERROR, ("spec", *where), what)


def _metadata(body: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = body.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _is_ours(body: Mapping[str, Any]) -> bool:
    return str(body.get("apiVersion", "")).partition("/")[0] == GROUP


def _ignored(body: Any) -> Remark:
    if isinstance(body, dict) and body.get("kind"):
        return Remark(Severity.NOTE, (), f"{body['kind']} is no kind of {GROUP}: not looked at")
    return Remark(Severity.NOTE, (), "this is no Kubernetes object: not looked at")


def _envelope(body: Mapping[str, Any], kind: str) -> Iterator[Remark]:
    if body.get("apiVersion") != API_VERSION:
        yield Remark(
            Severity.ERROR,
            ("apiVersion",),
            f"{body.get('apiVersion')!r} is no version of this API",
            f"write {API_VERSION}",
        )
    if kind not in _KINDS:
        yield Remark(
            Severity.ERROR,
            ("kind",),
            f"{GROUP} has no kind {kind!r}",
            closest(kind, list(_KINDS)) or f"there are: {', '.join(_KINDS)}",
        )
    for key in body:
        if key not in _TOP:
            yield Remark(Severity.ERROR, (str(key),), "there is no such field", closest(str(key), _TOP))
    metadata = _metadata(body)
    if "name" in metadata:
        try:
            _NAME.validate_python(metadata["name"])
        except ValidationError:
            yield Remark(
                Severity.ERROR,
                ("metadata", "name"),
                f"{metadata['name']!r} is no name of an object",
                "lower-case letters, digits, - and ., at most 253",
            )


def _repeated(document: Document) -> Iterator[Remark]:
    for path, position in document.repeated_keys():
        yield Remark(
            Severity.ERROR,
            path,
            f"this key is given twice, first time in line {position.line}",
            "take one of them away: YAML keeps the last, kubectl refuses both",
        )


def measurement_problems(model: BaseModel | None, body: Mapping[str, Any]) -> Iterator[Remark]:
    """What is measured. PromQL is checked also where the rest of the object is invalid: every `query` below `spec`."""
    resolved = isinstance(model, RollbackPolicy)
    if isinstance(model, RollbackPolicy):
        for problem in problems_of(model.spec):
            yield _remark(problem, body)
    for path, query in _queries_in(body.get("spec"), ("spec",)):
        fault = find_fault(query) if not (resolved and path[1] == "triggers") else None
        if fault is not None:
            yield Remark(Severity.ERROR, path, f"is not valid PromQL: {fault}", f"the query is: {query}")


def _remark(problem: Problem, body: Mapping[str, Any]) -> Remark:
    found: Any = body["spec"]
    for step in problem.path:
        found = found.get(step) if isinstance(found, dict) else found[step]
    mend = problem.mend or (f"the query is: {found}" if problem.path[-1] == "query" else "")
    return Remark(Severity.ERROR, ("spec", *problem.path), problem.message, mend)


def _queries_in(value: Any, path: tuple[Step, ...]) -> Iterator[tuple[tuple[Step, ...], str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "query" and isinstance(inner, str):
                yield (*path, key), inner
            yield from _queries_in(inner, (*path, str(key)))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _queries_in(inner, (*path, index))


def _across(ours: Sequence[Ours]) -> Iterator[Finding]:
    """What can only be said when all objects are known."""
    seen: dict[tuple[str, str, Place], Ours] = {}
    for one in ours:
        # Another directory may well describe another cluster, or the same one at another time.
        key = (one.folder, one.subject, one.place)
        if one.place[1] and key in seen:
            first = seen[key]
            message = f"{one.subject} is given twice; first in {first.document.file}:{first.document.position().line}"
            yield find("given-twice", one.document, one.subject, Remark(Severity.ERROR, (), message))
        seen.setdefault(key, one)
    systems = [o for o in ours if o.subject.startswith("ModelDeployment ")]
    for one in ours:
        if isinstance(one.model, RollbackPolicy) and not any(problems_of(one.model.spec)):
            yield from _ask_rules(one, one.model, systems)


def _ask_rules(one: Ours, policy: RollbackPolicy, systems: Sequence[Ours]) -> Iterator[Finding]:
    """Its ModelDeployment is the one in its own directory, else any of that name."""
    near = [s for s in systems if s.place[0] == one.place[0]]
    near.sort(key=lambda s: s.folder != one.folder)
    wanted = policy.spec.model_deployment_ref.name
    system = next((s.model for s in near if s.place[1] == wanted), None)
    spec: ModelDeploymentSpec | None = system.spec if isinstance(system, ModelDeployment) else None
    case = Case(resolve_policy(policy.spec), spec, [s.place[1] for s in near])
    for rule in RULES:
        for remark in rule(case):
            yield find(name_of(rule), one.document, one.subject, remark)
