"""The commands of `kind` that pytest-kind 22.11.1 runs, answered with local clusters.

    kind get clusters
    kind create cluster --name=NAME --kubeconfig=PATH [--image=IMAGE] [--config FILE]
    kind load docker-image --name NAME IMAGE
    kind delete cluster --name=NAME --kubeconfig=PATH

A cluster belongs to the test run that made it and ends with it, however that ends. The run is the process
named by LOCALCLUSTER_OWNER, else the nearest ancestor that is no shell. With LOCALCLUSTER_KEEP=1 (for
pytest's --keep-cluster) it stays until `localcluster down`.
"""

import argparse
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from . import building, clusters, removal
from .cli import guarded
from .console import say
from .errors import LocalClusterError
from .processes import Identity, nearest_non_shell_ancestor, require_identity
from .record import Record, all_records


def main(arguments: Sequence[str]) -> int:
    """Run one command and give its exit code."""
    chosen = _parser().parse_args(arguments)
    return guarded(lambda: chosen.run(chosen))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kind", description=__doc__.splitlines()[0] if __doc__ else None)
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    verbs.add_parser("get").add_subparsers(required=True).add_parser("clusters").set_defaults(
        run=_get_clusters
    )

    create = verbs.add_parser("create").add_subparsers(required=True).add_parser("cluster")
    create.set_defaults(run=_create)
    create.add_argument("--image", help="ignored: the version is the built one")
    create.add_argument("--config", help="refused: there is one kind of cluster here")
    delete = verbs.add_parser("delete").add_subparsers(required=True).add_parser("cluster")
    delete.set_defaults(run=lambda chosen: removal.down(chosen.name))
    for command in (create, delete):
        command.add_argument("--kubeconfig", type=Path)

    load = verbs.add_parser("load").add_subparsers(required=True).add_parser("docker-image")
    load.set_defaults(run=_load)
    load.add_argument("images", nargs="+")
    for command in (create, delete, load):
        command.add_argument("--name", default="kind")
    return parser


def _owner() -> Identity | None:
    if os.environ.get("LOCALCLUSTER_KEEP") == "1":
        return None
    named = os.environ.get("LOCALCLUSTER_OWNER", "")
    return require_identity(int(named) if named.isdigit() else nearest_non_shell_ancestor())


def _mine(record: Record) -> bool:
    """Another run's cluster must not be used, let alone deleted at the end of this one."""
    return record.state == "ready" and (record.owner is None or record.owner == _owner())


def _get_clusters(_chosen: argparse.Namespace) -> None:
    removal.reap()
    for record in all_records():
        if _mine(record):
            print(record.name)


def _create(chosen: argparse.Namespace) -> None:
    if chosen.config:
        msg = f"a kind configuration ({chosen.config}) means nothing to a local cluster: leave --config away"
        raise LocalClusterError(msg)
    record = clusters.up(clusters.Wanted(name=chosen.name, programs=building.provide(), owner=_owner()))
    if chosen.kubeconfig:
        chosen.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(record.kubeconfig, chosen.kubeconfig)


def _load(chosen: argparse.Namespace) -> None:
    images = ", ".join(chosen.images)
    say(f"nothing to load: no container runs in a local cluster, so every image is taken as there ({images})")
