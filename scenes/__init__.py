"""Scenes: TOML files that put a world, an agent, perceptions and samplers on one stage.

In: a scene's name and a verb. Out: a window, a run folder, scores, JSON. The only folder that may import all
others, and that none of them imports.

Reading order: `schema` (the file, checked), `build` (from names to things), `stage` (what is
watched) with `following`, `programme` and `words`, `train` (what calls `learn`), `score` and `compare`
(whole games), `progress` (bars, Ctrl-C, faults), `signals` (SIGTERM), `console` (results and remarks), `verbs`
and `cli` (the command line) with `arguments` (its words) and `outcome` (exit codes, errors in JSON), `doctor`.

To add a scene: copy a TOML file beside this one; `playfield list` shows it and
`tests/scenes/test_shipped.py` runs it from then on.
"""
