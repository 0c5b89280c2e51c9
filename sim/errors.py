"""The one distinction that a user's exit code makes: the request was wrong, or the work failed."""


class RequestError(Exception):
    """What was asked for cannot be; nothing was started or changed.

    The message is one line that names the culprit and the mend. The command line exits with 2.
    """


class WorkError(Exception):
    """The request was fine but the work failed; the message says what was saved and how to go on.

    The command line exits with 1.
    """
