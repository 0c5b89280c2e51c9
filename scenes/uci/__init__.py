"""A chess agent as a UCI engine."""
