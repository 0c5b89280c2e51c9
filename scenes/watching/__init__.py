"""What the window shows of a scene."""
