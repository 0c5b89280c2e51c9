"""Data sets for generative models: images and state vectors from the worlds, and small real ones.

In: a name of `catalog.DATA` or a folder, how many examples, a seed. Out: a
`supervised.data.dataset.Dataset`.
Read `catalog.py` first, then any one of the others. Does not know: scenes, agents; policies are passed in
(`Player`), and without any the worlds are played at random.

To add a data set: one file with a function like `digits.collect`, and its line in `catalog.DATA`;
`tests/generative/test_data.py` checks it from then on.
"""
