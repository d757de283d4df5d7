"""Credentials of a metrics source: sent with each request, followed when they rotate, and kept out of every message."""

import base64
import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import quote

import requests
from requests.auth import AuthBase

_REDACTED: Final = "[redacted]"
_SHORTEST: Final = 4
"""Characters; anything shorter stands everywhere and would garble every answer."""


class Secret(Protocol):
    """Something to be kept secret."""

    def read(self) -> str:
        """Its value now. Raises OSError."""


@dataclass(frozen=True, slots=True)
class SecretText:
    """A secret that stays as it is."""

    text: str = field(repr=False)

    def read(self) -> str:
        """See `Secret`."""
        return self.text


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A secret in a file that may be replaced at any time, as kubelets do."""

    path: Path

    def read(self) -> str:
        """See `Secret`."""
        return self.path.read_text(encoding="utf-8").strip()


class Credentials(Protocol):
    """What stands in `Authorization`."""

    def header(self) -> str:
        """Its value now. Raises OSError."""

    def secrets(self) -> Sequence[str]:
        """What of it must not be shown, in every form that a server might quote. Raises OSError."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token."""

    token: Secret

    def header(self) -> str:
        """See `Credentials`."""
        return f"Bearer {self.token.read()}"

    def secrets(self) -> Sequence[str]:
        """See `Credentials`."""
        return [self.token.read()]


@dataclass(frozen=True, slots=True)
class Basic:
    """User and password."""

    username: str
    password: Secret

    def header(self) -> str:
        """See `Credentials`."""
        return f"Basic {self._encoded()}"

    def secrets(self) -> Sequence[str]:
        """See `Credentials`."""
        return [self.password.read(), self._encoded()]

    def _encoded(self) -> str:
        return base64.b64encode(f"{self.username}:{self.password.read()}".encode()).decode()


class Redactor:
    """Replaces secrets wherever somebody quotes them: plain, and as JSON and URLs write them.

    Two generations of a rotated secret are known, so that an answer which quotes the one just sent is mended too.
    """

    def __init__(self, credentials: Credentials | None, fixed: Sequence[str] = ()) -> None:
        self._credentials = credentials
        self._fixed = tuple(fixed)
        self._now: tuple[str, ...] = ()
        self._before: tuple[str, ...] = ()

    def text(self, text: str) -> str:
        """`text` without secrets."""
        for form in self._forms():
            text = text.replace(form, _REDACTED)
        return text

    def data(self, data: bytes) -> bytes:
        """`data` without secrets."""
        for form in self._forms():
            data = data.replace(form.encode(), _REDACTED.encode())
        return data

    def learn(self) -> None:
        """Takes note of the secrets of the moment; called whenever they are sent."""
        current: tuple[str, ...] = ()
        if self._credentials is not None:
            with contextlib.suppress(OSError, ValueError):
                current = tuple(self._credentials.secrets())
        if current and current != self._now:
            self._now, self._before = current, self._now

    def _forms(self) -> Iterator[str]:
        self.learn()
        for secret in sorted({*self._fixed, *self._now, *self._before}, key=len, reverse=True):
            if len(secret) >= _SHORTEST:
                yield from dict.fromkeys((secret, json.dumps(secret)[1:-1], quote(secret, safe="")))


class Authorization(AuthBase):
    """Puts the credentials of the moment into each request."""

    def __init__(self, credentials: Credentials, redactor: Redactor) -> None:
        self._credentials = credentials
        self._redactor = redactor

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._credentials.header()
        self._redactor.learn()
        return request
