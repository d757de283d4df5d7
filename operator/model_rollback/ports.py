"""What the engine needs of the outside world: small protocols, and the plain data that passes through them.

Implementations live in `adapters`; tests may bring their own where the real thing stands behind them elsewhere.
"""

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from model_rollback.api.reasons import Reason
from model_rollback.api.v1alpha1.probe import HttpProbe

Object = Mapping[str, Any]
"""A Kubernetes object as JSON."""

JsonPatch = Sequence[Mapping[str, Any]]
"""RFC 6902 operations."""


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """Names one namespaced object. `api_version` as in a manifest, e.g. `apps/v1`; `kind`, e.g. `Deployment`."""

    api_version: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an instant vector; a scalar is one sample without labels. `value` may be NaN or infinite."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Answer:
    """A believed answer of a metrics source: samples, and the notes that came with them."""

    samples: tuple[Sample, ...]
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()
    _found: dict[tuple[str, ...], dict[tuple[str, ...], tuple[Sample, ...]]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    def matching(self, series: Mapping[str, str]) -> tuple[Sample, ...]:
        """The samples that have all those labels.

        Thousands of policies pick their series out of one answer, so the samples are sorted by these labels once.
        """
        if not series:
            return self.samples
        names = tuple(sorted(series)) if len(series) > 1 else tuple(series)
        found = self._found.get(names)
        if found is None:
            found = self._found[names] = _sorted_out(self.samples, names)
        return found.get(tuple([series[name] for name in names]), ())


def _sorted_out(
    samples: Iterable[Sample], names: tuple[str, ...]
) -> dict[tuple[str, ...], tuple[Sample, ...]]:
    """Samples by their values of these labels; those that lack one are left out."""
    found: dict[tuple[str, ...], list[Sample]] = {}
    for sample in samples:  # spelled out, because nobody else has their turn until all samples are sorted
        labels = sample.labels
        values = tuple([labels[name] for name in names if name in labels])
        if len(values) == len(names):
            found.setdefault(values, []).append(sample)
    return {values: tuple(mine) for values, mine in found.items()}


@dataclass(frozen=True, slots=True)
class Series:
    """One series over a range. `values` stand beside `RangeAnswer.moments`; None: no sample at that moment."""

    labels: Mapping[str, str]
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class RangeAnswer:
    """A believed answer over a range of time. `moments`: every step that was asked for, rising."""

    moments: tuple[datetime, ...]
    series: tuple[Series, ...]
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()

    def steps(self) -> Iterator[tuple[datetime, Answer]]:
        """What an instant query at each of the moments would have answered, so that it can be judged like one."""
        for index, moment in enumerate(self.moments):
            samples = tuple(
                Sample(one.labels, value) for one in self.series if (value := one.values[index]) is not None
            )
            yield moment, Answer(samples, self.warnings, self.infos)


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """What one HTTP probe saw. `state` Unknown: it could not be asked (DNS, refused connection, time-out)."""

    state: Literal["Passed", "Failed", "Unknown"]
    observed: str
    message: str


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One change of a watched kind. `Synced` marks the end of a list: what was not seen since `Listing` is gone.

    `Unavailable`: the API server refuses the list or cannot be reached, `message` says why; a `Synced` follows when
    it is over.
    """

    type: Literal["Listing", "Synced", "Upserted", "Deleted", "Unavailable"]
    object: Object | None = None
    message: str = ""


class Clock(Protocol):
    """Time, as a parameter."""

    def now(self) -> datetime:
        """The time now, aware, in UTC."""

    async def sleep_until(self, moment: datetime) -> None:
        """Returns when `now() >= moment`."""


class MetricsSource(Protocol):
    """One Prometheus.

    Every question has the source's own time-out. `within` bounds the whole of it as well, and so does the wait until
    it is this question's turn; without it that wait has no bound.
    """

    async def query(self, text: str, at: datetime, *, within: timedelta | None = None) -> Answer:
        """Evaluates `text` at `at`.

        Raises:
            MetricsError: no answer, or none that may be believed.
        """

    async def query_range(
        self,
        text: str,
        start: datetime,
        end: datetime,
        step: timedelta,
        *,
        within: timedelta | None = None,
    ) -> RangeAnswer:
        """Evaluates `text` at `start`, `start + step`, … up to and with `end`; as many requests as that takes.

        Raises:
            MetricsError: no answer, or none that may be believed.
            ValueError: `step` is below a millisecond, or `end` before `start`.
        """

    async def alert_rules(self, *, within: timedelta | None = None) -> Answer:
        """The alerting rules that it evaluates, at most a minute old: one sample for each, of value 1.

        Labels: `alertname`, and `health` as Prometheus has it: `ok`, `err` or `unknown`.

        Raises:
            MetricsError: no answer, or none that may be believed.
        """


class Objects(Protocol):
    """Reads and writes single objects. All raise the subclasses of `ClusterError`."""

    async def get(self, ref: ObjectRef) -> Object:
        """The object as it is now (a consistent read). Raises NotFound."""

    async def create(self, ref: ObjectRef, body: Object, *, dry_run: bool = False) -> Object:
        """Creates the object named by `ref`. Raises Conflict when the name exists."""

    async def plural(self, api_version: str, kind: str) -> str:
        """What a namespaced kind is called in URLs. Raises NotFound when it is not served, else Refused."""

    async def patch_json(self, ref: ObjectRef, operations: JsonPatch, *, dry_run: bool = False) -> Object:
        """Applies a JSON Patch as our field manager. Raises Invalid without causes when a `test` failed."""

    async def patch_status(self, ref: ObjectRef, status: Object, resource_version: str) -> Object:
        """Replaces `status` as a whole, guarded by `resource_version`. Raises Conflict when it moved.

        A field that `status` lacks is removed. Returns the object as stored.
        """

    async def delete(self, ref: ObjectRef, uid: str, resource_version: str) -> None:
        """Deletes the object as it was seen; one that is gone, has changed, or is another one by now is left alone.

        A request that is served late, as one of a replica that does not lead any more, deletes nothing that was taken
        up again meanwhile.
        """


class Lists(Protocol):
    """Lists one kind in one namespace."""

    async def list(
        self, api_version: str, kind: str, namespace: str, labels: Mapping[str, str]
    ) -> Sequence[Object]:
        """All objects that have those labels, as they are now. Raises the subclasses of `ClusterError`."""


class Watches(Protocol):
    """Lists and watches one kind."""

    def watch(self, api_version: str, kind: str) -> AsyncGenerator[WatchEvent, None]:
        """Endless: lists, watches, reconnects with back-off, lists again when the server forgot (410).

        Raises nothing but cancellation. While the API server refuses or cannot be reached: one `Unavailable`
        for each new reason, then silence until the next list succeeds.
        """


class HttpProbes(Protocol):
    """Asks a Service of a namespace over HTTP."""

    async def ask(self, namespace: str, probe: HttpProbe, expected_version: str) -> ProbeAnswer:
        """One request, no redirects, bounded in time and size. Raises nothing."""


class Pods(Protocol):
    """Reads pods."""

    async def selected(self, namespace: str, selector: Object) -> Sequence[Object]:
        """The pods that a LabelSelector selects now. Raises the subclasses of `ClusterError`; Refused for too many."""


@dataclass(frozen=True, slots=True)
class LogStream:
    """The log of one life of one container. `previous`: it has been started again since."""

    pod: str
    uid: str
    container: str
    life: int
    previous: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line and when it was written (UTC)."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class LogPart:
    """A piece of a log, oldest line first. `more`: it was cut, and the next piece begins with its last moment."""

    lines: tuple[LogLine, ...]
    more: bool = False


class PodLogs(Protocol):
    """Reads what pods have logged. All raise the subclasses of `ClusterError`."""

    async def streams(self, namespace: str, selector: Object, container: str = "") -> Sequence[LogStream]:
        """Logs of the pods that a LabelSelector selects, those under deletion left out; `container` empty: of all."""

    async def read(self, namespace: str, stream: LogStream, since: datetime) -> LogPart:
        """What was written at or after `since`, which is taken in whole seconds; bounded in time and size."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One Event to publish on one object."""

    regarding: Object
    reason: Reason
    note: str
    action: str
    warning: bool = False
    related: Object | None = None


class Recorder(Protocol):
    """Publishes Events; losing one never disturbs what it tells of."""

    def publish(self, notice: Notice) -> None:
        """Queues the Event and returns at once."""


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """A Lease as read. `renewed` is compared, never read as a time; `duration` in seconds; `holder` may be empty."""

    holder: str
    transitions: int
    duration: float
    renewed: str
    resource_version: str

    def same_term(self, other: "LeaseRecord") -> bool:
        """Whether its holder has not renewed it since `other`."""
        return (self.holder, self.transitions, self.renewed) == (
            other.holder,
            other.transitions,
            other.renewed,
        )


class Leases(Protocol):
    """One Lease. Both raise the subclasses of `ClusterError`."""

    async def read(self) -> LeaseRecord | None:
        """As it is now; None: there is none."""

    async def write(self, holder: str, transitions: int, *, over: LeaseRecord | None) -> LeaseRecord:
        """Replaces exactly `over`, or creates it (None). Raises Conflict when somebody else was first."""
