"""What goes wrong in a trial: kills at boundaries, kills at random moments; one after the other in the same run."""

import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.kills.boundaries import Boundary, Namer
from tests.kills.trial import Succession, Trial, is_lease
from tests.support.api_proxy import ApiProxy, Held, Request, Stage

_LOOK_SECONDS = 0.2


def at(boundary: Boundary) -> Callable[[Request], bool]:
    """A condition for `ApiProxy.hold`: the first request that tells this."""
    namer = Namer()
    return lambda request: boundary in namer.name(request)


@dataclass(frozen=True)
class Point:
    """A write at one of its two stages: nothing has reached the API server yet, or nobody knows its answer."""

    boundary: Boundary
    stage: Stage

    def __str__(self) -> str:
        return f"{self.boundary}, {'before it is forwarded' if self.stage == 'before' else 'after it was answered'}"


class Kills:
    """SIGKILL at each of these points while the request is held; the connection breaks, and somebody goes on.

    A point that has not come when a later one comes is passed over: `struck` tells which ones did.
    """

    def __init__(self, points: Sequence[Point], succession: Succession) -> None:
        """`points`: in the order in which a run writes them."""
        self.points = points
        self.succession = succession
        self.struck: list[Point] = []
        self._next = 0
        self._holding = False
        self._caught: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._told: tuple[Request | None, list[Boundary]] = (None, [])
        self._namer = Namer()
        self._held: list[Held] = []

    def __str__(self) -> str:
        return f"kills at {'; at '.join(map(str, self.points))}; {self.succession}"

    def arm(self, proxy: ApiProxy) -> None:
        self._held = [proxy.hold(self._fits(n), point.stage) for n, point in enumerate(self.points)]

    def happen(self, trial: Trial) -> None:
        while self._next < len(self.points) or self._holding:
            try:
                number = self._caught.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                if trial.over.is_set():
                    self._next = len(self.points)  # so nothing more is held
                continue
            trial.operator.kill()
            self._held[number].drop()
            self.struck.append(self.points[number])
            trial.succeed(stand_by=self._next < len(self.points))
            self._holding = False

    @property
    def begun(self) -> bool:
        return bool(self.struck) or self._holding

    def _fits(self, number: int) -> Callable[[Request], bool]:
        """Asked in the thread of the proxy, for one request after the other."""

        def fits(request: Request) -> bool:
            if self._told[0] is not request:  # each request is named once, in the order in which they come
                self._told = (request, self._namer.name(request))
            if self._holding or number < self._next or self.points[number].boundary not in self._told[1]:
                return False
            self._holding, self._next = True, number + 1
            self._caught.put(number)
            return True

        return fits


class RandomKills:
    """SIGKILL some time after a request that is picked by its number, Events included; once or several times."""

    def __init__(self, moments: Sequence[tuple[int, float]], succession: Succession) -> None:
        """`moments`: (number of the request, counted from the kill before; seconds after it came)."""
        self.succession = succession
        self._moments = list(moments)
        self._proxy: ApiProxy
        self._held: Held
        self.kills = 0

    def __str__(self) -> str:
        return (
            "kills at "
            + ", ".join(f"request +{n} +{1000 * s:.0f} ms" for n, s in self._moments)
            + f", {self.succession}"
        )

    def arm(self, proxy: ApiProxy) -> None:
        self._proxy = proxy
        self._held = self._after(self._moments[0][0])

    def happen(self, trial: Trial) -> None:
        for number, (_, delay) in enumerate(self._moments, 1):
            if not self._came(trial):
                return  # nothing is written any more
            self._held.go_on()
            threading.Event().wait(delay)
            trial.operator.kill()
            if more := number < len(self._moments):
                self._held = self._after(self._moments[number][0])
            trial.succeed(stand_by=more)
            self.kills += 1

    @property
    def begun(self) -> bool:
        return self.kills > 0 or self._held.caught

    def _came(self, trial: Trial) -> bool:
        while not self._held.caught and not trial.over.is_set():
            with contextlib.suppress(TimeoutError):
                self._held.wait(_LOOK_SECONDS)
        return self._held.caught

    def _after(self, number: int) -> Held:
        left = number

        def fits(request: Request) -> bool:
            nonlocal left
            left -= not is_lease(request)
            return left <= 0

        return self._proxy.hold(fits, "before")
