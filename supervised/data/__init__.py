"""Data sets of labelled pictures: taken from worlds, kept on disk."""
