"""Labelled data sets: taken from worlds, kept on disk.

In: which world, what to label, how many, a seed. Out: pictures (N, H, W, 3) uint8 with percepts of origin
``truth``. `label_sources` holds a module for each family of worlds; `dataset_cache` keeps what was made,
under a key that holds the request and a digest of the source that makes it (`source_digest`).
"""
