"""`prometheus-api-client` made safe: an answer that cannot be believed in full is an error, never a value.

The library drops result types and warnings, retries on its own, has no time-out and reads answers of any size.
A response hook looks at every answer before the library does; `architecture.md` lists the traps, and each guard
here has its test.
"""

import asyncio
import contextlib
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any, Final, Literal, TypedDict, TypeVar
from urllib.parse import urlsplit, urlunsplit

import requests
from prometheus_api_client import PrometheusConnect
from pydantic_core import from_json
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import ReadTimeoutError
from urllib3.util.retry import Retry

from model_rollback.adapters.metrics_answers import (
    join_ranges,
    parse_alert_rules,
    parse_answer,
    parse_range_answer,
    refusal,
    short,
    split_range,
)
from model_rollback.adapters.metrics_credentials import Authorization, Credentials, Redactor
from model_rollback.errors import MetricsError
from model_rollback.ports import Answer, RangeAnswer

_T = TypeVar("_T")
_CHUNK: Final = 64 * 1024
_RULES_KEPT: Final = 60.0
"""Seconds for which the list of alerting rules is believed."""
_GRACE: Final = 1.0
"""Seconds after a question's time is over in which its thread may still report what happened."""
_GRACE_SHARE: Final = 0.05
"""The same as a share of that time, for short ones: the asker has something else to do then."""


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """One Prometheus, Thanos or Mimir, as the operator's own configuration names it.

    Attributes:
        url: base URL, without user and password.
        timeout: seconds for one query, all told.
        headers: sent with each request, e.g. `X-Scope-OrgID`.
        credentials: read for each request, so that a rotated secret is followed.
        ca_file: PEM bundle; default the system's.
        partial_response: what a warning means (Thanos and Mimir warn when parts did not answer).
        max_bytes: of a decoded answer. max_series: of one answer.
        concurrency: queries under way at a time; Prometheus itself allows 20 for everybody.
    """

    url: str
    timeout: float = 10.0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    credentials: Credentials | None = None
    ca_file: str | None = None
    partial_response: Literal["Reject", "Allow"] = "Reject"
    max_bytes: int = 32 * 1024 * 1024
    max_series: int = 20_000
    concurrency: int = 5


@dataclass(slots=True)
class _Call:
    """One request under way. `timeout` in seconds, `deadline` on the monotonic clock; `size`: of the decoded answer."""

    timeout: float
    deadline: float
    max_bytes: int
    payload: Any = None
    size: int = 0


class _Patience:
    """How long a question is waited for, all told; `within` None: as long as it takes."""

    def __init__(self, within: timedelta | None) -> None:
        self.within = within
        self._until = None if within is None else monotonic() + within.total_seconds()

    @property
    def left(self) -> float | None:
        """Seconds."""
        return None if self._until is None else max(0.001, self._until - monotonic())


class _Limits(TypedDict):
    allow_partial: bool
    max_series: int


class PrometheusSource:
    """`MetricsSource` on one Prometheus, in a thread pool of its own: a slow source delays no other."""

    def __init__(self, config: SourceConfig) -> None:
        """Opens no connection. Raises ValueError when `config.url` is no http(s) URL."""
        self._config = config
        self._url = _base_url(config.url)
        shown = ("x-scope-orgid",)
        hidden = [value for name, value in config.headers.items() if name.lower() not in shown]
        self._redact = Redactor(config.credentials, hidden)
        self._pool = ThreadPoolExecutor(config.concurrency, thread_name_prefix="metrics")
        self._slots = asyncio.Semaphore(config.concurrency)
        self._here = threading.local()
        self._rules: tuple[float, Answer] | None = None
        self._http = self._session()
        self._client = PrometheusConnect(
            url=self._url,
            headers=dict(config.headers),
            retry=Retry(total=0),  # for paths outside /api/; see _session for the others
            auth=self._auth(),
            session=self._http,
            timeout=config.timeout,
        )

    async def query(self, text: str, at: datetime, *, within: timedelta | None = None) -> Answer:
        """See `ports.MetricsSource`. Waits for a free slot first; the time-out runs from then on."""
        return await self._in_thread(_Patience(within), self._ask, text, at)

    async def query_range(
        self,
        text: str,
        start: datetime,
        end: datetime,
        step: timedelta,
        *,
        within: timedelta | None = None,
    ) -> RangeAnswer:
        """See `ports.MetricsSource`. Requests follow each other, so that a long range takes one slot at a time.

        Each request has the time-out for itself; `max_bytes` holds for all of them together.
        """
        parts: list[RangeAnswer] = []
        left = self._config.max_bytes
        patience = _Patience(within)
        for moments in split_range(start, end, step):
            part, size = await self._in_thread(patience, self._ask_range, text, moments, step, left)
            parts.append(part)
            left -= size
        return join_ranges(parts, max_series=self._config.max_series)

    async def alert_rules(self, *, within: timedelta | None = None) -> Answer:
        """See `ports.MetricsSource`. Rules seldom change, and their list can be long: it is asked for once a minute."""
        if self._rules is None or monotonic() - self._rules[0] > _RULES_KEPT:
            self._rules = (monotonic(), await self._in_thread(_Patience(within), self._ask_rules))
        return self._rules[1]

    async def _in_thread(self, patience: _Patience, work: Callable[..., _T], *arguments: Any) -> _T:
        """`work` gets its seconds first: it ends by itself then, so that a question given up holds no slot."""
        try:
            async with asyncio.timeout(patience.left):
                await self._slots.acquire()
        except TimeoutError:
            raise self._late(patience) from None
        try:
            timeout = min(self._config.timeout, patience.left or math.inf)
            under_way = asyncio.get_running_loop().run_in_executor(self._pool, work, timeout, *arguments)
            grace = _GRACE if patience.within is None else min(_GRACE, _GRACE_SHARE * timeout)
            return await asyncio.wait_for(under_way, timeout + grace)
        except TimeoutError as error:
            raise self._timeout(timeout) from error
        finally:
            self._slots.release()

    def close(self) -> None:
        """Lets threads under way run into their time-outs; new queries fail."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def _ask(self, timeout: float, text: str, at: datetime) -> Answer:
        with self._call(timeout, self._config.max_bytes) as call:
            self._client.custom_query(text, params=self._parameters(timeout, time=at), timeout=timeout)
            return parse_answer(call.payload, **self._limits)

    def _ask_rules(self, timeout: float) -> Answer:
        with self._call(timeout, self._config.max_bytes) as call:
            self._http.get(
                f"{self._url}/api/v1/rules",
                params={"type": "alert", "exclude_alerts": "true"},
                headers=dict(self._config.headers),
                auth=self._auth(),
                timeout=timeout,
            )
            return parse_alert_rules(call.payload, **self._limits)

    def _ask_range(
        self, timeout: float, text: str, moments: Sequence[datetime], step: timedelta, most: int
    ) -> tuple[RangeAnswer, int]:
        with self._call(timeout, most) as call:
            first, last = moments[0], moments[-1]
            # The library rounds start and end to whole seconds; named in `params`, they stay as they are.
            params = self._parameters(timeout, start=first, end=last)
            width = f"{step.total_seconds():.3f}"
            self._client.custom_query_range(text, first, last, width, params=params, timeout=timeout)
            return parse_range_answer(call.payload, moments, **self._limits), call.size

    @contextlib.contextmanager
    def _call(self, timeout: float, max_bytes: int) -> Iterator[_Call]:
        """One request of this thread: what the hook leaves of its answer, and every failure as a MetricsError."""
        self._here.call = call = _Call(timeout, monotonic() + timeout, max_bytes)
        try:
            yield call
        except MetricsError as error:
            raise MetricsError(error.kind, self._redact.text(str(error))) from None
        except Exception as error:  # noqa: BLE001 - whatever the libraries raise, the answer is not to be believed
            raise self._translate(error, timeout) from None
        finally:
            self._here.call = None

    def _parameters(self, timeout: float, **moments: datetime) -> dict[str, str]:
        return {
            **{name: f"{moment.timestamp():.3f}" for name, moment in moments.items()},
            "timeout": f"{max(1, math.floor(timeout))}s",
            # One more than allowed: so "exactly at the limit" and "cut off" can be told apart.
            "limit": str(self._config.max_series + 1),
            # Thanos knows the first, VictoriaMetrics the second; others pass over both.
            "partial_response": "false" if self._config.partial_response == "Reject" else "true",
            "deny_partial_response": "1" if self._config.partial_response == "Reject" else "0",
        }

    @property
    def _limits(self) -> _Limits:
        return {
            "allow_partial": self._config.partial_response == "Allow",
            "max_series": self._config.max_series,
        }

    def _translate(self, error: Exception, timeout: float) -> MetricsError:
        if isinstance(error, requests.Timeout) or _caused_by(error, ReadTimeoutError):
            return self._timeout(timeout)
        if isinstance(error, requests.exceptions.SSLError):
            return self._error("unreachable", f"TLS to {self._url} failed: {_reason(error)}")
        if isinstance(error, requests.ConnectionError):
            return self._error("unreachable", f"{self._url} cannot be reached: {_reason(error)}")
        if isinstance(
            error, requests.exceptions.ChunkedEncodingError | requests.exceptions.ContentDecodingError
        ):
            return self._error("unavailable", f"the answer of {self._url} broke off: {_reason(error)}")
        if isinstance(error, OSError):
            return self._error("unreachable", f"{self._url} cannot be asked: {error}")
        return self._error("not_prometheus", f"{self._url}: {type(error).__name__}: {error}")

    def _error(self, kind: str, message: str) -> MetricsError:
        return MetricsError(kind, short(self._redact.text(message)))

    def _timeout(self, seconds: float) -> MetricsError:
        return self._error("timeout", f"{self._url} did not answer within {round(seconds, 1):g} s")

    def _late(self, patience: _Patience) -> MetricsError:
        seconds = (patience.within or timedelta()).total_seconds()
        why = (
            f"the {self._config.concurrency} queries that its concurrency allows were under way all the while"
        )
        return self._error("timeout", f"{self._url}: a query's turn did not come within {seconds:g} s; {why}")

    def _auth(self) -> AuthBase | None:
        if self._config.credentials is None:
            return None
        return Authorization(self._config.credentials, self._redact)

    def _session(self) -> requests.Session:
        session = requests.Session()
        # Neither ~/.netrc nor proxy variables may change whom the operator believes.
        session.trust_env = False
        session.verify = self._config.ca_file or True
        session.hooks["response"].append(self._inspect)
        # The library mounts an adapter of its own on the URL; a longer prefix wins.
        session.mount(
            f"{self._url}/api/",
            HTTPAdapter(
                pool_connections=1,
                pool_maxsize=self._config.concurrency,
                pool_block=True,
                max_retries=Retry(total=0),
            ),
        )
        return session

    def _inspect(self, response: requests.Response, *_: Any, **__: Any) -> None:
        """Reads the body within bounds and judges it before the library sees it. Raises MetricsError."""
        try:
            payload = self._judge(response)
        except BaseException:
            # requests hands a response on that a hook refused to nobody: its connection would be lost.
            response.close()
            raise
        # The library would decode the same bytes again, and then drop half of it.
        response.json = lambda **_kwargs: payload  # type: ignore[method-assign]
        self._here.call.payload = payload

    def _judge(self, response: requests.Response) -> dict[str, Any]:
        if response.is_redirect:
            raise self._error(
                "not_prometheus",
                f"{self._url} redirects to {response.headers.get('location', '')}: a login page? Name the final URL",
            )
        call: _Call = self._here.call
        response.raw = _BoundedBody(
            response.raw, call.max_bytes, call.deadline, partial(self._timeout, call.timeout)
        )
        call.size = len(response.content)
        # Before anything is read of it, cut short or kept: what a server quotes may end in a condition or in evidence.
        body = self._redact.data(response.content)
        if response.status_code != 200:
            raise refusal(response.status_code, body, self._url)
        try:
            payload = from_json(body)
        except ValueError:
            kind = response.headers.get("content-type", "something")
            raise self._error(
                "not_prometheus",
                f"{self._url} answered with {kind}, not with JSON of Prometheus: a login page?",
            ) from None
        if not isinstance(payload, dict) or payload.get("status") != "success":
            raise refusal(response.status_code, body, self._url)
        return payload


class _BoundedBody:
    """A raw body that stops at a size and at a moment: a server that trickles never runs into socket time-outs."""

    def __init__(self, raw: Any, limit: int, deadline: float, timeout: Callable[[], MetricsError]) -> None:
        self._raw, self._limit, self._deadline, self._timeout = raw, limit, deadline, timeout

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def stream(self, amount: int, *, decode_content: bool) -> Iterator[bytes]:
        announced = self._raw.headers.get("content-length", "")
        self._check(int(announced) if announced.isdigit() else 0)
        size = 0
        # read1 hands on what is there; `read` would block until a whole chunk came, past any deadline.
        while chunk := self._raw.read1(min(amount, _CHUNK), decode_content=decode_content):
            size += len(chunk)
            self._check(size)
            yield chunk

    def _check(self, size: int) -> None:
        if size > self._limit:
            self._raw.close()
            raise MetricsError(
                "too_large", f"the answer is larger than {self._limit} bytes: aggregate more in the query"
            )
        if monotonic() > self._deadline:
            self._raw.close()
            raise self._timeout()


def _base_url(url: str) -> str:
    """The URL without trailing slash."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("a metrics source needs a URL such as http://prometheus.monitoring.svc:9090")
    if "@" in parts.netloc:
        raise ValueError(
            "user and password do not belong in a URL, which is shown: name a file or a variable"
        )
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def _reason(error: BaseException) -> str:
    """The innermost words. What requests says itself holds the query and its time, new at every tick."""
    inner = error.args[0] if error.args and isinstance(error.args[0], BaseException) else error
    inner = getattr(inner, "reason", None) or inner
    return str(inner).rpartition("a new connection: ")[2]


def _caused_by(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Whether `kind` is among the causes; requests wraps a time-out in the body into a ConnectionError."""
    seen = 0
    while error is not None and seen < 8:
        if isinstance(error, kind) or any(isinstance(argument, kind) for argument in error.args):
            return True
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False
