"""Chess worlds: the agent against a given opponent, from the start, a named endgame or any FEN.

In: actions (N,) in 0…4671, the moves of 8×8×73 from the mover's side. Out: planes (N, C, 8, 8) uint8,
``info["action_mask"]`` (N, 4672) bool, rewards (N,) as the field ``reward`` says, boards as RGB.
Does not know: networks, search, engines; these come in as a `sim.protocols.Policy`, or use `rules`.

Reading order: `rules/` (moves and positions as numbers, an immutable position, a faster core for search),
`endgames` and `starts`, `tablebase` (solved endgames), `mates` (forced mates), `opponents`, `match` (one game
in progress), `world` and `batch` (the gymnasium environments); `uci_player` seats Stockfish or another UCI
engine, each a `uci_process`; `pgn_games` reads recorded games; `diagrams/` renders boards and gives their
ground truth; `board/` is the interactive board of the window.

To add a piece set: see `diagrams.sets`; a theme: one entry in `diagrams.themes.THEMES`; a start: one line in
`endgames.STARTS`; an opponent: a function and its line in `opponents.OPPONENTS`, and the field
`opponent` in `world`; `tests/sim/test_chess_world.py` plays both.
"""
