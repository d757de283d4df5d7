"""What `lint` looks for beyond the schema: policies that are accepted and yet do not do what was meant.

Each rule is one small function; its name is the rule's name and its docstring the line in the reference.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import promql_parser

from model_rollback.api.types import format_duration
from model_rollback.api.v1alpha1 import ModelDeploymentSpec
from model_rollback.api.v1alpha1.trigger import Trigger
from model_rollback.cli.documents import Step
from model_rollback.cli.findings import Remark, Severity, closest
from model_rollback.core.plan import default_settle
from model_rollback.core.presets import Policy
from model_rollback.core.promql import longest_range
from model_rollback.core.triggers import max_hold


@dataclass(frozen=True, slots=True)
class Case:
    """One policy whose spec is valid, and what was linted with it.

    Attributes:
        system: its ModelDeployment, when it is among the files and valid.
        systems: the names of all ModelDeployments among the files that are in its namespace.
    """

    policy: Policy
    system: ModelDeploymentSpec | None
    systems: Sequence[str]


Rule = Callable[[Case], Iterator[Remark]]
_SPEC: Final = ("spec",)
_LOOKBACK: Final = timedelta(minutes=5)
"""For so long Prometheus gives out the newest sample of a series, unless it is configured otherwise."""


def _warn(path: tuple[Step, ...], message: str, mend: str) -> Remark:
    return Remark(Severity.WARNING, (*_SPEC, *path), message, mend)


def _err(path: tuple[Step, ...], message: str, mend: str) -> Remark:
    return Remark(Severity.ERROR, (*_SPEC, *path), message, mend)


def _triggers(case: Case) -> Iterator[tuple[tuple[Step, ...], Trigger]]:
    for index, trigger in enumerate(case.policy.triggers):
        yield ("triggers", index), trigger


def unknown_model_deployment(case: Case) -> Iterator[Remark]:
    """The policy names a ModelDeployment that is not among the files, while others are."""
    name = case.policy.model_deployment_ref.name
    if case.systems and name not in case.systems:
        yield _err(
            ("modelDeploymentRef", "name"),
            f"the files hold no ModelDeployment {name!r} in this namespace",
            closest(name, case.systems) or f"they hold: {', '.join(sorted(case.systems))}",
        )


def undeclared_target(case: Case) -> Iterator[Remark]:
    """A version is named that is not declared: until it was recorded under that very name, it is no target."""
    target = case.policy.target
    if case.system is None:
        return
    declared = [v.name for v in case.system.versions]
    named: list[tuple[tuple[Step, ...], str]] = [
        (("fallbacks", i), name) for i, name in enumerate(target.fallbacks)
    ]
    if target.version is not None:
        named.insert(0, (("version",), target.version))
    for path, name in named:
        if name not in declared:
            yield _warn(
                ("target", *path),
                f"the ModelDeployment declares no version {name!r}; until one was recorded under that name, "
                "it is not there to go back to",
                closest(name, declared) or "declare it in spec.versions of the ModelDeployment",
            )


def unattested(case: Case) -> Iterator[Remark]:
    """No declared version carries an attestation that the target must carry."""
    if case.system is None:
        return
    carried = {a.name for v in case.system.versions for a in v.attestations}
    for index, name in enumerate(case.policy.target.requires):
        if name not in carried:
            yield _warn(
                ("target", "requires", index),
                f"no declared version carries the attestation {name!r}: a breach finds no target",
                closest(name, sorted(carried))
                or "add it to a version in spec.versions of the ModelDeployment",
            )


def fires_at_once(case: Case) -> Iterator[Remark]:
    """Neither `for` nor `consecutive`: a single bad sample rolls back. An alert has a `for` of its own."""
    for path, trigger in _triggers(case):
        if trigger.action == "Notify" or trigger.alert is not None:
            continue
        if not trigger.for_ and trigger.consecutive == 1:
            yield _warn(
                path,
                f"trigger {trigger.name!r} has neither for nor consecutive: one bad sample rolls back",
                "say how long it must be bad, e.g. for: 2m, or how often, e.g. consecutive: 3",
            )


def never_fires(case: Case) -> Iterator[Remark]:
    """`maxHold` is shorter than the interval: every clock starts anew at every evaluation."""
    for path, trigger in _triggers(case):
        hold, interval = max_hold(trigger, case.policy.interval), case.policy.interval
        if hold < interval and (trigger.for_ or trigger.consecutive > 1):
            yield _err(
                (*path, "maxHold"),
                f"maxHold {format_duration(hold)} is shorter than the interval {format_duration(interval)}: "
                "the clock starts anew at every evaluation, so this trigger can never fire",
                "leave maxHold out (5 intervals, at least 5m), or make it several intervals long",
            )


def for_below_interval(case: Case) -> Iterator[Remark]:
    """`for` is shorter than the interval: it takes two bad evaluations, a whole interval apart."""
    interval = case.policy.interval
    for path, trigger in _triggers(case):
        if timedelta(0) < trigger.for_ < interval:
            yield _warn(
                (*path, "for"),
                f"for {format_duration(trigger.for_)} is shorter than the interval {format_duration(interval)}: "
                f"it takes two bad evaluations in a row, so {format_duration(interval)}",
                "use consecutive: 2, or a shorter interval",
            )


def window_below_interval(case: Case) -> Iterator[Remark]:
    """A range window is shorter than the interval: what happens between two evaluations is never seen."""
    interval = case.policy.interval
    for path, trigger in _triggers(case):
        window = longest_range(trigger.query)
        if timedelta(0) < window < interval:
            yield _warn(
                (*path, "query"),
                f"its longest range window, {format_duration(window)}, is shorter than the interval "
                f"{format_duration(interval)}: what happens between two evaluations is never seen",
                "make the window at least as long as the interval",
            )


def age_above_lookback(case: Case) -> Iterator[Remark]:
    """`maxSampleAge` is not below 5m: Prometheus itself gives no older sample out, so nothing is ever Stale."""
    for path, trigger in _triggers(case):
        age = trigger.max_sample_age
        if age is not None and age >= _LOOKBACK:
            yield _warn(
                (*path, "maxSampleAge"),
                f"maxSampleAge {format_duration(age)} is not below the {format_duration(_LOOKBACK)} for which "
                "Prometheus gives a sample out: no sample is ever older",
                "make it about three scrape intervals, e.g. 1m, or leave it out",
            )


def age_below_interval(case: Case) -> Iterator[Remark]:
    """`maxSampleAge` is shorter than the interval: fresh samples may be taken for old ones."""
    interval = case.policy.interval
    for path, trigger in _triggers(case):
        age = trigger.max_sample_age
        if age is not None and age < interval:
            yield _warn(
                (*path, "maxSampleAge"),
                f"maxSampleAge {format_duration(age)} is shorter than the interval {format_duration(interval)}: "
                "unless it is scraped more often than that, every sample is Stale",
                "make it about three scrape intervals",
            )


def no_hysteresis(case: Case) -> Iterator[Remark]:
    """`recoverAt` is the threshold itself: that is what holds without it."""
    for path, trigger in _triggers(case):
        if trigger.recover_at == trigger.breach.threshold:
            yield _warn(
                (*path, "recoverAt"),
                f"recoverAt {trigger.recover_at} is the threshold itself: it changes nothing",
                "put it a little beyond, so that a value on the threshold does not flap, or leave it out",
            )


def comparison_in_query(case: Case) -> Iterator[Remark]:
    """The query compares by itself: PromQL then leaves out what does not match, and healthy looks like no data."""
    comparisons = {"==", "!=", "<", "<=", ">", ">="}
    for path, trigger in _triggers(case):
        top = promql_parser.parse(trigger.query)
        while isinstance(top, promql_parser.ParenExpr):
            top = top.expr
        if (
            isinstance(top, promql_parser.BinaryExpr)
            and str(top.op) in comparisons
            and not _returns_bool(top)
        ):
            yield _warn(
                (*path, "query"),
                f"the query filters with {top.op}: while it does not hold there is no series, so trigger "
                f"{trigger.name!r} is NoData and never Healthy, and no version becomes Verified",
                "let the query return the value and compare in breach",
            )


def _returns_bool(comparison: promql_parser.BinaryExpr) -> bool:
    return comparison.modifier is not None and bool(comparison.modifier.return_bool)


def reversed_breach(case: Case) -> Iterator[Remark]:
    """The operator points the other way than the trigger's type: low accuracy is bad, high latency is."""
    low = ("LessThan", "LessThanOrEqual")
    high = ("GreaterThan", "GreaterThanOrEqual")
    wrong = {"Accuracy": high, "Latency": low, "Errors": low, "Drift": low}
    for path, trigger in _triggers(case):
        if trigger.breach.operator in wrong.get(trigger.type, ()):
            yield _warn(
                (*path, "breach", "operator"),
                f"trigger {trigger.name!r} of type {trigger.type} is bad when it is {trigger.breach.operator} "
                f"{trigger.breach.threshold}: that is the other way round than usual",
                "turn the operator round, or give the trigger type Custom",
            )


def outage_breaches(case: Case) -> Iterator[Remark]:
    """`onError: Breach` or `onNoData: Breach`: an outage of the metrics rolls models back."""
    for path, trigger in _triggers(case):
        for field, value, what in (
            ("onError", trigger.on_error, "an unreachable Prometheus"),
            ("onNoData", trigger.on_no_data, "a missing series"),
        ):
            if value == "Breach":
                yield _warn(
                    (*path, field),
                    f"{field}: Breach lets {what} roll back every model with this trigger",
                    f"{field}: Hold, unless silence itself is the failure",
                )


def settle_below_window(case: Case) -> Iterator[Remark]:
    """`validation.settle` is shorter than the longest range window: samples of the bad version are still in it."""
    settle, longest = case.policy.validation.settle, default_settle(case.policy.triggers)
    windows = [longest_range(t.query) for t in case.policy.triggers]
    if settle is not None and settle < max(windows):
        yield _warn(
            ("validation", "settle"),
            f"settle {format_duration(settle)} is shorter than the longest range window, "
            f"{format_duration(max(windows))}: validation begins with samples of the bad version in it",
            f"leave settle out (it is then {format_duration(longest)})",
        )


def unproved(case: Case) -> Iterator[Remark]:
    """The probes do not ask any trigger: a rollback is called successful while the metric is still bad."""
    probes = case.policy.validation.probes
    if probes and not any(p.trigger is not None for p in probes):
        yield _warn(
            ("validation", "probes"),
            "no probe asks a trigger: the rollback is called successful although the metric may still be bad",
            f"add {{name: recovered, trigger: {case.policy.triggers[0].name}}}",
        )


def unverified_target(case: Case) -> Iterator[Remark]:
    """`allowUnverified`: a version that nobody vouched for may be put back."""
    if case.policy.target.allow_unverified != "Never":
        yield _warn(
            ("target", "allowUnverified"),
            "a version that was never Verified may be put back",
            "leave it out once a version is Verified or declared so",
        )


def no_cooldown(case: Case) -> Iterator[Remark]:
    """`guards.cooldown: 0s`: one rollback may follow another at once."""
    if not case.policy.guards.cooldown:
        yield _warn(
            ("guards", "cooldown"),
            "without a cooldown one rollback may follow another at once",
            "leave it out (30m)",
        )


def short_quarantine(case: Case) -> Iterator[Remark]:
    """`quarantine.duration` is not longer than `guards.cooldown`: the bad version is a candidate at once again."""
    quarantine, cooldown = case.policy.quarantine.duration, case.policy.guards.cooldown
    if quarantine <= cooldown:
        yield _warn(
            ("quarantine", "duration"),
            f"the bad version leaves quarantine after {format_duration(quarantine)}, when the cooldown of "
            f"{format_duration(cooldown)} has hardly ended: it may be the next target",
            "leave it out (168h)",
        )


RULES: Final[tuple[Rule, ...]] = (
    unknown_model_deployment,
    undeclared_target,
    unattested,
    fires_at_once,
    never_fires,
    for_below_interval,
    window_below_interval,
    age_above_lookback,
    age_below_interval,
    no_hysteresis,
    comparison_in_query,
    reversed_breach,
    outage_breaches,
    settle_below_window,
    unproved,
    unverified_target,
    no_cooldown,
    short_quarantine,
)
"""All of them are asked of every valid policy."""


def name_of(rule: Rule) -> str:
    """`fires-at-once`."""
    return rule.__name__.replace("_", "-")
