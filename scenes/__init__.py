"""Scenes: TOML files that put a world, an agent, perceptions and samplers together, and all that runs them.

In: a scene's name and a verb. Out: a window, a run folder, scores, JSON. The only folder that may import all
others, and that none of them imports.

Reading order: `schema` (the file, checked), `build` (from names to things), `data` (what agents observe and
models learn from), then a room a verb: `training`, `evaluation`, `watching`, `sampling`, `perceiving`,
`collecting`, `bench`, `sweep`, `uci`; `api` is the Python library over them, `cli` parses and prints. Beside
them `console` (results on stdout, remarks on stderr), `interruption` and `signals` (Ctrl-C, SIGTERM).

To add a scene: copy a TOML file beside this one; `playfield list` shows it and `tests/scenes/test_shipped.py`
runs it from then on.
"""
