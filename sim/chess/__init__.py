"""Chess worlds: the agent against a given opponent, from the start, a named endgame or any FEN.

In: actions (N,) in 0…4671, the moves of 8×8×73 from the mover's side. Out: planes (N, C, 8, 8) uint8,
``info["action_mask"]`` (N, 4672) bool, rewards (N,) as the field ``reward`` says, boards as RGB.
Does not know: networks, search, engines; these come in as a `sim.protocols.Policy`, or use `rules`.

Reading order: `encoding` (moves and positions as numbers), `fen`, `termination` (how a game ends),
`move_generator`, `rules` (an immutable position), `fast_rules` (the same for search, on a faster core where
that is installed), `endgames` and `starts`, `tablebase` (solved endgames), `opponents`, `match` (one game
in progress), `world` and `batch` (the gymnasium environments); `uci_player` seats Stockfish or another UCI
engine; `pgn_games` reads recorded games, `mates` finds forced mates; `draw` renders boards from the shapes
in `sets`, `pieces` and `shapes` in the colours of `themes`, `truth` gives their ground truth, and `board`
is the interactive board of the window. Data to train perception on: `positions` (one seed, one game),
`pictures` (augmented pictures of a board), `labelled_boards` (batches of them).

To add a piece set: see `sets`; a theme: one entry in `themes.THEMES`; a start: one line in
`endgames.STARTS`; an opponent: a function and its line in `opponents.OPPONENTS`, and the field
`opponent` in `world`; `tests/sim/test_chess_world.py` plays both.
"""
