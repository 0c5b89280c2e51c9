"""The window: its loop, its controls, its choices, and the whole screen."""
