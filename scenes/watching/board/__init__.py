"""Chess board in the window: a game between two seats, agents, engines or a person.

In: a scene's chess world and players. Out: a `Show` that the window steps, ply by ply. Does not know: the
window's drawing, training.

Reading order: `game` (who sits where, whose turn it is), `players` (a move as a search to follow), `thinker`
(the search in a thread of its own), `show` (what the window steps).
"""
