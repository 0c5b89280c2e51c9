"""Chess diagrams: pictures of boards with their ground truth, to watch and to train perception on.

Reading order: `draw` (a board as a picture) from the pieces of `pieces`, `shapes` and `sets` in the colours
of `themes`; `truth` (boxes and FEN of a picture); `positions` (one seed, one game), `pictures` (augmented
pictures of a board), `labelled_boards` (batches of them).
"""
