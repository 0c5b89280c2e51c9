"""Data sets for generative models: pictures and vectors from the worlds, and small real ones.

In: a name of `catalog.DATA` or a folder, how many examples, a seed. Out: a `Collection`, see
`generative.collection`.
Read `catalog.py` first, then any one of the others. Does not know: scenes, agents; who plays is handed in
(`Player`), and without anybody the worlds are played by chance.

To add a data set: one file with a function like `digits.collect`, and its line in `catalog.DATA`;
`tests/generative/test_data.py` checks it from then on.
"""
