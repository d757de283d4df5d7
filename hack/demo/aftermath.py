"""What is shown when it is over: the objects, the Events, the times; and how to go on when all of it is kept."""

from datetime import datetime

from .installation import OPERATOR_NAMESPACE
from .observing import Snapshot
from .recommender import NAME, NAMESPACE, Recommender
from .sandbox import Sandbox
from .screen import Screen
from .story import moment


def show_objects(sandbox: Sandbox, screen: Screen) -> None:
    """`kubectl get` of the three kinds."""
    _show(sandbox, screen, "get", "mdep,rbpol,rbk")


def show_events(sandbox: Sandbox, screen: Screen, rollback: str, result: str) -> None:
    """The Rollback's Events, in the order in which they happened; they follow what they tell of."""
    words = ("events", "--for", f"rollback/{rollback}")
    told = f"Rollback{result}"
    sandbox.until(lambda: told in sandbox.kubectl("-n", NAMESPACE, *words), f"the Event {told}")
    _show(sandbox, screen, *words)


def show_times(
    screen: Screen, seen: Snapshot, recommender: Recommender, *, deployed: datetime, good: str, bad: str
) -> None:
    """Time to detect and to restore, from the Rollback's timeline and from the moment of the bad deployment."""
    timeline = {name: moment(text) for name, text in seen.rollback_status.get("timeline", {}).items()}
    detected, restored, validated = (
        timeline.get(name) for name in ("detectedAt", "revertedAt", "validatedAt")
    )
    screen.heading("Times")
    if detected:
        screen.text(
            f"time to detect   {_seconds(deployed, detected)} after {bad} was deployed, "
            f"{_seconds(timeline['breachedAt'], detected)} after the first bad measurement (the policy's `for`)"
        )
    if detected and restored:
        screen.text(
            f"time to restore  {_seconds(deployed, restored)} after {bad} was deployed, "
            f"{_seconds(detected, restored)} after detection: {good} is ready again"
        )
    if validated:
        screen.text(f"validated        {_seconds(deployed, validated)} after {bad} was deployed")
    served = recommender.answers_of(bad)
    screen.text(
        f"{bad} gave its users {served.answers} answers, {served.answers - served.right} of them wrong"
    )


def show_how_to_go_on(sandbox: Sandbox, screen: Screen, recommender: Recommender, *, bad: str) -> None:
    """For a demo that is kept."""
    kubectl = f"kubectl -n {NAMESPACE}"
    again = f"examples/model-server/deploy/{NAME}-{bad}.yaml"
    screen.heading("All of it is still running. Use it from a terminal in this checkout:")
    screen.text(
        f"""\
  eval "$(hack/localcluster/localcluster env {sandbox.name})"

Look around
  {kubectl} get mdep,rbpol,rbk
  {kubectl} describe rbpol {NAME}
  {kubectl} get rbk -o yaml
  {kubectl} events
  kubectl -n {OPERATOR_NAMESPACE} get all,configmaps
  curl -s {recommender.url}/v1/health
  Prometheus, in a browser: {sandbox.place.prometheus_url}
  the logs: {sandbox.place.folder / "logs"}/demo-*.log

Break it again (the first line ends the cooldown, which is 30 minutes after each rollback)
  {kubectl} patch rbpol {NAME} --type=merge -p '{{"spec":{{"guards":{{"cooldown":"0s"}}}}}}'
  {kubectl} apply -f {again}
  {kubectl} get rbk --watch

Stop it
  {sandbox.end_command}"""
    )


def _show(sandbox: Sandbox, screen: Screen, *words: str) -> None:
    command = ("-n", NAMESPACE, *words)
    screen.command(f"kubectl {' '.join(command)}", sandbox.kubectl(*command))


def _seconds(start: datetime, end: datetime) -> str:
    return f"{(end - start).total_seconds():.1f} s"
