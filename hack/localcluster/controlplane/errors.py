"""The one exception that the command line shows as a message instead of a traceback."""


class LocalClusterError(Exception):
    """Something a user can mend; the text says what went wrong, where, and what to do."""
