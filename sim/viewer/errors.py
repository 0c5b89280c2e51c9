"""The one error of the viewer."""

from sim.errors import RequestError


class ViewerError(RequestError, RuntimeError):
    """What the viewer was asked for cannot be done; the message names the culprit and the mend."""
