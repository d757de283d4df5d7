"""`python -m model_server`: serve one version, or the version that a Deployment's ready pods name."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path

from model_server.http_api import ModelServer
from model_server.service import PredictionService


def main() -> None:
    """Serve until SIGTERM or SIGINT; the first line on stdout is `listening on URL`."""
    options = _options()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    for number in (signal.SIGTERM, signal.SIGINT):
        # An exception also ends a read that waits for the next watch event; a flag would be seen a minute later.
        signal.signal(number, lambda *_: sys.exit(0))
    service = PredictionService(
        options.name, options.models, window=options.window, minimum=options.minimum_samples
    )
    server = ModelServer(service, host=options.host, port=options.port)
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    print(f"listening on {server.url}", flush=True)
    try:
        if options.version:
            service.serve(options.version)
            threading.Event().wait()
        else:
            _follow(options, service)
    finally:
        server.shutdown()
        server.server_close()


def _follow(options: argparse.Namespace, service: PredictionService) -> None:
    from kubernetes.config import ConfigException  # noqa: PLC0415 - a fixed version needs no Kubernetes client

    from model_server.rollout import connect, follow  # noqa: PLC0415

    try:
        api = connect(options.context)
    except ConfigException as error:
        sys.exit(f"no way to reach the cluster of {options.deployment}: {error}; set KUBECONFIG or --context")
    namespace, _, name = options.deployment.partition("/")
    follow(api, namespace=namespace, deployment=name, container=options.container, serve=service.serve)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="model_server", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--version", help="serve this version, for example v12")
    which.add_argument(
        "--deployment", metavar="NAMESPACE/NAME", help="serve what this Deployment's ready pods name"
    )
    parser.add_argument(
        "--models", type=Path, default=Path("artifacts/models"), help="folder of <version>.npz"
    )
    parser.add_argument("--name", default="recommender", help="the `model` label of all metrics")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--container", default="server", help="container whose image tag is the version")
    parser.add_argument("--context", help="context of the kubeconfig; default: the current one")
    parser.add_argument("--window", type=int, default=200, help="labelled predictions in the accuracy window")
    parser.add_argument(
        "--minimum-samples", type=int, default=100, help="fewer than this: no accuracy is exported"
    )
    options = parser.parse_args()
    if options.deployment and not all(options.deployment.partition("/")):
        parser.error("--deployment takes NAMESPACE/NAME, for example shop/recommender")
    return options


if __name__ == "__main__":
    main()
