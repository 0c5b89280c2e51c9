"""Families of worlds: decoding, correctness, initial states and thumbnails of generated examples.

In: the name of a data set and examples (n, …) of it. Out: what they show, states that a world can begin in,
pictures. Does not know: samplers, metrics, the window.

Reading order: `family` (the record), `table`, then a module for each family of worlds. To add a family: a
module with its `WorldFamily` and a line in `table.FAMILIES`; its worlds, their names and label source have
lines of their own in `sim.catalog` and `supervised.catalog.LABEL_SOURCES`.
`tests/scenes/test_new_world_family.py` adds one.
"""
