"""Tables of what is where: `sports`, `shooters`, `chases`; `sim.atari.objects` says what a table is.

To add a game: write its table, add its line to `sim.atari.truth.GAMES` and its colours to
`tests/sim/atari/palette.py`; `test_truth.py` and `test_truth_against_pixels.py` check it from then on.
"""
