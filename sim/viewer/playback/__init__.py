"""A show being played: the simulation thread, remembered moments, attribution."""
