"""The errors of the viewer."""

from sim.errors import RequestError, WorkError


class ViewerError(RequestError, RuntimeError):
    """What the viewer was asked for cannot be done; the message names the culprit and the mend."""


class RecordingFailed(WorkError, RuntimeError):
    """A recording that had begun could not go on; the message says why, and nothing of it is left behind."""
