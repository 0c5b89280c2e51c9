"""Data sets: named columns, split by group; labelled pictures taken from worlds; one cache on disk.

`dataset` is the one data set type (its column kinds in `columns`), `split` the rules that hold groups out.
For labelled pictures, in: which world, what to label, how many, a seed; out: pictures (N, H, W, 3) uint8 with
percepts of origin ``truth`` (`capture`; `label_sources` holds a module for each family of worlds). Whole
episodes, played here or recorded by ``playfield collect``, come with actions, rewards and ends (`episodes`).
`dataset_cache` keeps what was made, under a key that holds the request and a digest of the source that makes
it (`source_digest`).
"""
