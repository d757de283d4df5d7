"""Reads the command line of `localcluster` and calls what it names."""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from . import building, clusters, removal, watchdog
from .console import say
from .errors import LocalClusterError
from .interruption import Interrupted, raise_on_signals
from .places import cluster_dir
from .processes import require_identity
from .realnode import inside, node
from .record import all_records
from .toolset import TOOLSETS


def main(arguments: Sequence[str]) -> int:
    """Run one command and give its exit code: 0 done, 1 failed with a message, 2 misused, 128+n stopped."""
    chosen = _parser().parse_args(arguments)
    return guarded(lambda: chosen.run(chosen))


def guarded(run: Callable[[], None]) -> int:
    """Call `run` with signals made exceptions; turn what a user can mend into a message."""
    raise_on_signals()
    try:
        run()
    except LocalClusterError as error:
        say(str(error))
        return 1
    except Interrupted as stopped:
        say(f"stopped by {stopped}; nothing is left behind")
        return stopped.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="localcluster", description="A real Kubernetes control plane from nothing."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    build = commands.add_parser("build", help="build the programs, once for all checkouts of this machine")
    build.set_defaults(run=_build)
    show = commands.add_parser("bin", help="print the folder of the built programs")
    show.set_defaults(run=lambda chosen: print(building.built(chosen.tools)))
    for command in (build, show):
        command.add_argument("--tools", choices=sorted(TOOLSETS), default="cluster", help="default: cluster")

    _add_up(commands.add_parser("up", help="start a cluster and wait until it is ready"))
    down = commands.add_parser("down", help="end a cluster and remove all of it")
    down.set_defaults(run=lambda chosen: removal.down(chosen.name, with_logs=chosen.keep_logs))
    down.add_argument("--keep-logs", action="store_true", help="keep its logs and print where")
    env = commands.add_parser("env", help="print what to export to use a cluster")
    env.set_defaults(run=_env)
    env.add_argument("--json", action="store_true", help="as one JSON object instead of shell exports")
    watch = commands.add_parser(
        "watch", help="wait for a cluster's owner to end, then remove it (started by `up`)"
    )
    watch.set_defaults(run=lambda chosen: watchdog.watch(chosen.name))
    load = commands.add_parser("load", help="give images of an archive to a cluster with a real node")
    load.set_defaults(run=lambda chosen: node.load_image(clusters.running(chosen.name), chosen.archive))
    inner = commands.add_parser("node", help="be a cluster's real node (started by `up`)")
    inner.set_defaults(run=lambda chosen: inside.run(chosen.name, chosen.programs))
    forward = commands.add_parser("forward", help="bring a real node's connections here (started by `up`)")
    forward.set_defaults(run=lambda chosen: node.forward(chosen.name))
    for command in (down, env, watch, load, inner, forward):
        command.add_argument("name", metavar="NAME")
    load.add_argument("archive", metavar="ARCHIVE", type=Path)
    inner.add_argument("programs", metavar="PROGRAMS", type=Path)

    check = commands.add_parser(
        "check", help="tell whether `make realnode` can run here, and all that is missing"
    )
    check.set_defaults(run=_check)
    commands.add_parser("list", help="print the clusters there are").set_defaults(run=_list)
    reap = commands.add_parser("reap", help="remove clusters whose owner has ended")
    reap.set_defaults(run=lambda _chosen: removal.reap())
    return parser


def _add_up(up: argparse.ArgumentParser) -> None:
    up.set_defaults(run=_up)
    up.add_argument("name", metavar="NAME")
    life = up.add_mutually_exclusive_group()
    life.add_argument(
        "--owner", type=int, metavar="PID", help="remove it when this process ends; default: the caller"
    )
    life.add_argument("--keep", action="store_true", help="keep it until `down`")
    up.add_argument(
        "--node",
        choices=["played", "real"],
        default="played",
        help="played by kwok (default), or real: containers run; needs root and Debian packages",
    )
    up.add_argument("--no-prometheus", action="store_true", help="without Prometheus")
    up.add_argument(
        "--disable-qps-limits", action="store_true", help="no client and server rate limits; for benches"
    )


def _build(chosen: argparse.Namespace) -> None:
    print(building.provide(chosen.tools))


def _check(_chosen: argparse.Namespace) -> None:
    node.require(cluster_dir("check"), images=True)
    say("a real node can run here, and the images of `make realnode` can be built")


def _up(chosen: argparse.Namespace) -> None:
    if chosen.node == "real":
        node.require(cluster_dir(chosen.name))
    owner = None if chosen.keep else require_identity(os.getppid() if chosen.owner is None else chosen.owner)
    wanted = clusters.Wanted(
        name=chosen.name,
        programs=building.provide(),
        owner=owner,
        prometheus=not chosen.no_prometheus,
        disable_qps_limits=chosen.disable_qps_limits,
        node_programs=building.provide("realnode") if chosen.node == "real" else None,
    )
    clusters.up(wanted)
    say(f'use it: eval "$({shlex.quote(sys.argv[0])} env {chosen.name})"')


def _env(chosen: argparse.Namespace) -> None:
    exports = clusters.environment(clusters.running(chosen.name))
    if chosen.json:
        print(json.dumps(exports, indent=2))
        return
    for name, value in exports.items():
        print(f"export {name}={shlex.quote(value)}")


def _list(_chosen: argparse.Namespace) -> None:
    for record in all_records():
        holder = f"owner {record.owner.pid}" if record.owner else "kept"
        print(
            f"{record.name}\t{'orphaned' if record.orphaned() else record.state}\t{holder}\t{record.folder}"
        )
