"""Object tables of the games, in `sports`, `shooters` and `chases`; `sim.atari.objects` defines their format.

To add a game: write its table, add its line to `sim.atari.truth.GAMES` and its colours to
`tests/sim/atari/palette.py`; `test_truth.py` and `test_truth_against_pixels.py` check it from then on.
"""
