"""What goes wrong in a trial: kills at a boundary, kills at random moments."""

import threading
from collections.abc import Callable, Sequence

from tests.kills.boundaries import Boundary, Namer
from tests.kills.trial import PATIENCE, Succession, Trial, is_lease
from tests.support.api_proxy import ApiProxy, Held, Request, Stage

_IDLE = 10.0
"""Seconds without the request that a further kill waits for; there may be none any more."""


def at(boundary: Boundary) -> Callable[[Request], bool]:
    """A condition for `ApiProxy.hold`: the first request that tells this."""
    namer = Namer()
    return lambda request: boundary in namer.name(request)


class Kill:
    """SIGKILL while a request is held; the connection breaks, and somebody goes on."""

    def __init__(self, boundary: Boundary, stage: Stage, succession: Succession) -> None:
        self.boundary = boundary
        self.stage = stage
        self.succession = succession
        self._held: Held

    def __str__(self) -> str:
        where = "before it is forwarded" if self.stage == "before" else "after it was answered"
        return f"kill at {self.boundary}, {where}, {self.succession}"

    def arm(self, proxy: ApiProxy) -> None:
        self._held = proxy.hold(at(self.boundary), self.stage)

    def happen(self, trial: Trial) -> None:
        self._held.wait(PATIENCE)
        trial.operator.kill()
        self._held.drop()
        trial.succeed()

    @property
    def begun(self) -> bool:
        return self._held.caught


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
        for number, (_, delay) in enumerate(self._moments):
            if number:
                self._held = self._after(self._moments[number][0])
            try:
                self._held.wait(_IDLE if number else PATIENCE)
            except TimeoutError:
                return  # nothing is written any more
            self._held.go_on()
            threading.Event().wait(delay)
            trial.operator.kill()
            trial.succeed()
            self.kills += 1

    @property
    def begun(self) -> bool:
        return self.kills > 0

    def _after(self, number: int) -> Held:
        left = number

        def fits(request: Request) -> bool:
            nonlocal left
            left -= not is_lease(request)
            return left <= 0

        return self._proxy.hold(fits, "before")
