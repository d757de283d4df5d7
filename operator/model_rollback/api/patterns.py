"""Regular expressions that people write and the operator runs: RE2, whose time is linear in the text."""

from functools import lru_cache
from typing import Any

import re2

_MEMORY = 8 << 20


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> Any:
    """Something with `search(text)`.

    Raises:
        ValueError: not a regular expression of RE2's syntax; says what is wrong with it.
    """
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0] if error.args else error
        words = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise ValueError(f"{pattern!r} is not a regular expression of RE2's syntax: {words}") from None
