"""The errors of the viewer."""

from sim.errors import RequestError, WorkError


class ViewerError(RequestError, RuntimeError):
    """An invalid request to the viewer; the message names the culprit and the mend."""


class RecordingFailed(WorkError, RuntimeError):
    """A recording that failed after it had begun; the message says why, and no file is left behind."""
