"""`python -m hack.demo`: one bad release and its rollback, told as it happens; see docs/tutorials/first-rollback.md."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import requests
from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from .play import Demo, Options
from .sandbox import KEPT_NAME, DemoError
from .screen import Screen

_REQUESTS_TO_STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """0: the good version is back and proven. 1: it is not, or something failed. 128+n: stopped by signal n."""
    for number in _REQUESTS_TO_STOP:
        signal.signal(number, _stop)
    options, screen = _options(), Screen()
    demo = Demo(options, screen)
    started, logs, found = time.monotonic(), "", ["the demo broke"]
    try:
        found = demo.play()
    except (DemoError, requests.RequestException, ApiException, HTTPError) as error:
        found = [str(error)]
    except SystemExit:
        found = []
        screen.heading("Stopped. Everything is taken down")
        raise
    finally:
        with _uninterrupted():
            logs = demo.end(keep_logs=bool(found))
    seconds = f"{time.monotonic() - started:.0f} s"
    if found:
        screen.heading(f"The demo failed, after {seconds}")
        screen.text("\n".join(["; ".join(found), *([logs] if logs else [])]), "bad")
    else:
        screen.heading(f"{options.good} answers again, and it is proven: {seconds} in all")
    if demo.is_kept:
        demo.show_how_to_go_on()
    return 1 if found else 0


def _stop(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """A second Ctrl-C must not cut the clean-up short. By handlers, which programs that are started do not inherit."""
    for number in _REQUESTS_TO_STOP:
        signal.signal(number, lambda *_: None)
    yield


def _options() -> Options:
    parser = argparse.ArgumentParser(prog="python -m hack.demo", description=__doc__)
    parser.add_argument(
        "--good", default="v12", choices=("v12", "v13"), help="the version that is live first"
    )
    parser.add_argument(
        "--swap-model-files", action="store_true", help="give each model file the other's name"
    )
    parser.add_argument(
        "--without-policy", action="store_true", help="nobody watches: the demo fails, as it should"
    )
    parser.add_argument("--keep", action="store_true", help="leave everything up; `make demo-stop` ends it")
    parser.add_argument(
        "--name", help=f"of the cluster; default: {KEPT_NAME} with --keep, else one of its own"
    )
    given = parser.parse_args()
    return Options(
        name=given.name or (KEPT_NAME if given.keep else f"demo-{os.getpid()}"),
        good=given.good,
        bad="v13" if given.good == "v12" else "v12",
        swap_files=given.swap_model_files,
        with_policy=not (given.without_policy or os.environ.get("DEMO_WITHOUT_POLICY")),
        keep=given.keep,
    )


if __name__ == "__main__":
    sys.exit(main())
