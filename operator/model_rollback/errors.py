"""What can go wrong outside, in this operator's words. Adapters translate; nothing above them knows a client library.

Each class says what the caller may do. Messages carry no credentials: adapters redact before they raise.
"""


class OutsideError(Exception):
    """Something outside this process did not do what was asked; `str()` is fit for a condition's message."""


class ClusterError(OutsideError):
    """The API server refused or could not be reached."""


class NotFound(ClusterError):
    """The object, or its namespace, is not there (404)."""


class Conflict(ClusterError):
    """Somebody else wrote first, or the name exists (409): read again, decide again."""


class Invalid(ClusterError):
    """422. With `causes` the object breaks a schema; without, a JSON Patch `test` failed: read again and compare."""

    def __init__(self, message: str, *, causes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.causes = causes


class Forbidden(ClusterError):
    """401 or 403: a right is missing, or an admission policy refused. Repeating does not help; a person must act."""


class Refused(ClusterError):
    """Another 4xx: the request itself is wrong for this API server. Repeating does not help."""


class Unavailable(ClusterError):
    """429, 5xx, a time-out or a broken connection. The outcome of a write is unknown: read again and compare.

    Attributes:
        retry_after: seconds the server asked to wait, or None.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotLeading(Unavailable):
    """This replica may not write (any more): another one leads, or may by now. Nothing was sent."""


class MetricsError(OutsideError):
    """A metrics source gave no answer that may be believed.

    Attributes:
        kind: one of `timeout`, `unreachable`, `unauthorized`, `bad_query`, `unavailable`, `not_prometheus`,
            `partial`, `too_large`, `unexpected_type`, `unknown_source`, `not_allowed`: the label of the error metric.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
