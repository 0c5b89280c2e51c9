"""Base exceptions by exit code: `RequestError` (2, an invalid request) and `WorkError` (1, failed work)."""


class RequestError(Exception):
    """An invalid request; nothing was started or changed.

    The message is one line that names the culprit and the mend. The command line exits with 2.
    """


class WorkError(Exception):
    """A valid request whose work failed; the message says what was saved and how to go on.

    The command line exits with 1.
    """
