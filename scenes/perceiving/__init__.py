"""The verb ``perceive``: percepts of pictures, as JSON, files and drawings."""
