"""Values that nobody may read in a status, an Event, a log or a ControllerRevision: what Secrets hold."""

import hashlib
import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

_ROUNDS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Confidential:
    """A value that shows itself by a digest only. JSON refuses it, so it cannot be written down by accident.

    Attributes:
        salt: where it was read, `namespace/name`, so that equal passwords of different teams show differently.
    """

    value: Any = field(repr=False)
    salt: str

    def __str__(self) -> str:
        return self.shown()

    def shown(self) -> str:
        """`hidden:` and 64 hex digits, slow to compute on purpose: short values should not be found by trying."""
        text = json.dumps(self.value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return f"hidden:{_stretched(hashlib.sha256(text.encode()).digest(), self.salt)}"


@lru_cache(maxsize=1024)
def _stretched(fingerprint: bytes, salt: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", fingerprint, f"modelrollback.dev/{salt}".encode(), _ROUNDS).hex()


def revealed(value: Any) -> Any:
    """What is to be written to the target itself."""
    return value.value if isinstance(value, Confidential) else value
