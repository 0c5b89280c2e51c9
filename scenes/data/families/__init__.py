"""Families of worlds: decoding, correctness, initial states and thumbnails of generated examples.

In: the name of a data set and examples (n, …) of it. Out: what they show, states that a world can begin in,
pictures. Does not know: samplers, metrics, the window.

Reading order: `family` (the record), `table`, then a module for each family of worlds, called as it is.

To add a family of worlds, all in all:

| file | line | for |
|---|---|---|
| ``world`` and ``names`` in a folder of `sim` | `sim.catalog.WORLDS` | its worlds, and their names |
| the same in a folder of `generative` | `generative.catalog.WORLDS` | worlds that are models |
| a module in `supervised.data.label_sources` | `supervised.catalog` | perceptions that learn from it |
| a module here with its ``FAMILY`` | – | generated examples of it |

The first or the second are enough for agents, the window, evaluation and recordings; the others are for
those who want them. `tests/scenes/test_new_world_family.py` adds one.
"""
