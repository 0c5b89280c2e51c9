"""Chess: you against an injected opponent, from the start, a named endgame or any FEN.

In: actions (N,) in 0…4671, the moves of 8×8×73 from the mover's side. Out: planes (N, C, 8, 8) uint8,
``info["action_mask"]`` (N, 4672) bool, rewards (N,) as the field ``reward`` says, boards as RGB.
Does not know: networks, search, engines; these come in as a `sim.protocols.Policy`, or use `rules`.

Reading order: `encoding` (moves and positions as numbers), `rules` (an immutable position, for search too),
`endgames` and `starts`, `tablebase` (endings that are solved), `opponents`, `match` (one game in progress),
`world` and `batch` (what gymnasium sees); `draw` paints boards from the shapes in `sets`, `pieces` and
`shapes` in the colours of `themes`, `truth` tells what is on them, and `easel` puts a board under a
person's hands. For models that look at boards: `positions` (one seed, one game), `pictures` (a board as a
camera may see it), `album` (as many as are asked for).

To add a piece set: see `sets`; a theme: one entry in `themes.THEMES`; a start: one line in
`endgames.STARTS`; an opponent: a function and its line in `opponents.OPPONENTS`, and the field
`opponent` in `world`; `tests/sim/test_chess_world.py` plays both.
"""
