"""Scenes: TOML files that put a world, an agent, perceptions and samplers on one stage.

In: a scene's name and a verb. Out: a window, a run folder, scores, JSON. The only folder that may import all
others, and that none of them imports.

Reading order: `schema`, `build`, `stage`, `train`, `score`, `cli`.

To add a scene: copy a TOML file beside this one; `playfield list` shows it and
`tests/scenes/test_shipped.py` runs it from then on.
"""
