"""A chess game at the board: played ply by ply, with clocks, take-back, premoves, PGN and FEN in and out.

In: moves of whoever sits there (`table`), seconds (`clock`), text (`notation`), gestures
(`interactive_renderer`, with premoves `renderer`). Out: what the window draws (`picture`, `state`; its types
are in `sim.viewer.contract.board`). Does not know: threads, windows, networks, who chooses the moves.
"""
