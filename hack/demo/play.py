"""The play: a good version is live and protected, a bad one is deployed, and what comes of it is told and judged."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from . import aftermath, installation, verdict
from .observing import Observer, Snapshot
from .recommender import NAMESPACE, Recommender
from .sandbox import Sandbox
from .screen import Screen
from .story import Happening, Storyteller

_POLL_SECONDS = 0.2
_PATIENCE = 120.0
"""Seconds that the rollback may take on a slow machine."""
_PATIENCE_WITHOUT_POLICY = 15.0
"""Seconds for which the bad version is watched when nobody is expected to act; thrice the policy's `for`."""


@dataclass(frozen=True)
class Options:
    """What is played. `good` is live and Verified first, `bad` is deployed then. `name`: the cluster's."""

    name: str
    good: str
    bad: str
    swap_files: bool
    with_policy: bool
    keep: bool


class Demo:
    """The play, act by act."""

    def __init__(self, options: Options, screen: Screen) -> None:
        self._options = options
        self._screen = screen
        self._sandbox = Sandbox(options.name, keep=options.keep)
        self._played = False
        self._recommender = Recommender(self._sandbox)
        self._threshold = self._recommender.threshold()

    def play(self) -> list[str]:
        """Answers what is wrong at the end."""
        self._set_up()
        observer = Observer(self._sandbox, self._recommender)
        if self._options.with_policy:
            self._wait_for_protection(observer)
        deployed, seen = self._break(observer)
        found = verdict.problems(
            self._sandbox, self._recommender, seen, wanted=self._options.good, threshold=self._threshold
        )
        self._sum_up(observer, seen, deployed)
        self._played = True
        return found

    @property
    def is_kept(self) -> bool:
        """Whether all of it stays up: that was asked for, and it was played to its end."""
        return self._options.keep and self._played

    def end(self, *, keep_logs: bool) -> str:
        """Takes everything down, unless it is kept; answers where the logs are, if they are kept."""
        return "" if self.is_kept else self._sandbox.down(keep_logs=keep_logs)

    def show_how_to_go_on(self) -> None:
        """For a demo that is kept."""
        aftermath.show_how_to_go_on(self._sandbox, self._screen, self._recommender, bad=self._options.bad)

    def _set_up(self) -> None:
        o, screen, model = self._options, self._screen, self._recommender
        guard = "protected" if o.with_policy else "watched by nobody"
        screen.heading(f"Setting the stage: {o.good} is live, good, and {guard}")
        with screen.step("a Kubernetes control plane and a Prometheus, real ones, on this machine"):
            self._sandbox.up()
        with screen.step("two models trained on scikit-learn's digits"):
            trained = model.train(swap_files=o.swap_files)
        for line in trained:
            screen.note(line)
        if o.swap_files:
            screen.note("and then the two files were swapped: the name of a version says nothing about it")
        with screen.step(f"Deployment recommender at {o.good} in namespace {NAMESPACE}, and its users"):
            self._sandbox.kubectl("create", "namespace", NAMESPACE)
            model.deploy(o.good)
            model.start()
            self._sandbox.until(lambda: model.serving() == o.good, f"{o.good} to answer over HTTP")
            model.start_users()
        with screen.step(
            f"helm install of the operator's chart in namespace {installation.OPERATOR_NAMESPACE}"
        ):
            installation.install(self._sandbox, model.address)
        screen.note(
            "No container runs in this cluster: kwok plays its nodes, so all pods, the operator's too, only look "
            "ready. One process here serves the model for its pods, and another one is the operator."
        )
        with screen.step(
            "the operator started, with the installed configuration and its ServiceAccount's token"
        ):
            identity = installation.run(self._sandbox)
        screen.note(f"to the API server it is {identity}")

    def _wait_for_protection(self, observer: Observer) -> None:
        o = self._options

        def verified() -> bool:
            return bool(observer.look().model.get("status", {}).get("lastVerifiedVersion") == o.good)

        def explain() -> str:
            seen = observer.look()
            said = [f"{t['name']} is {t['state']} ({t['message']})" for t in seen.triggers]
            return f"Triggers: {', '.join(said) or 'none measured yet'}"

        with self._screen.step(f"policy applied; {o.good} recorded, judged healthy for 5 s, and so Verified"):
            self._recommender.protect(with_policy=True)
            self._sandbox.until(verified, f"{o.good} to be recorded and Verified", explain=explain)
        accuracy = observer.look().accuracy
        if accuracy is not None:
            self._screen.note(f"accuracy of {accuracy.version} in Prometheus: {accuracy.value:.3f}")

    def _break(self, observer: Observer) -> tuple[datetime, Snapshot]:
        o, screen = self._options, self._screen
        if not o.with_policy:
            with screen.step("ModelDeployment applied, but no RollbackPolicy"):
                self._recommender.protect(with_policy=False)
                self._sandbox.until(lambda: observer.look().accuracy, "an accuracy in Prometheus")
        screen.heading(f"{o.bad} is deployed")
        story = Storyteller(observer.look(), self._threshold)
        deployed = datetime.now(UTC)
        self._tell(
            [Happening(deployed, f"kubectl apply of {o.bad}: another image and version label, nothing else")],
            deployed,
        )
        self._recommender.deploy(o.bad)
        try:
            return deployed, self._watch(observer, story, deployed)
        finally:
            self._tell(story.rest(), deployed)

    def _watch(self, observer: Observer, story: Storyteller, deployed: datetime) -> Snapshot:
        """Tells what happens, until the rollback is over or patience is; answers the last look."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            seen = observer.look()
            self._tell(story.tell(seen), deployed)
            self._sandbox.require_alive()
            late = time.monotonic() > deadline
            if late or seen.result or seen.condition("Halted").get("status") == "True":
                return seen
            is_measured = seen.accuracy is not None and seen.accuracy.version == self._options.bad
            if is_measured and not self._options.with_policy:
                deadline = min(deadline, time.monotonic() + _PATIENCE_WITHOUT_POLICY)
            time.sleep(_POLL_SECONDS)

    def _tell(self, happenings: list[Happening], deployed: datetime) -> None:
        for each in happenings:
            self._screen.happening(each.at, deployed, each.text, each.tone)

    def _sum_up(self, observer: Observer, seen: Snapshot, deployed: datetime) -> None:
        o = self._options
        if seen.result:
            self._sandbox.until(observer.lock_is_free, "the ModelDeployment to be free for the next rollback")
        self._screen.heading("What is left on the API server")
        aftermath.show_objects(self._sandbox, self._screen)
        if seen.rollback:
            name = seen.rollback["metadata"]["name"]
            aftermath.show_events(self._sandbox, self._screen, name, seen.result)
        aftermath.show_times(self._screen, seen, self._recommender, deployed=deployed, good=o.good, bad=o.bad)
