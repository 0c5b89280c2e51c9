"""Files on disk: checkpoints, run folders, exact states, recorded episodes.

In: arrays, plain values, cards. Out: the same, bit for bit; never pickle. Every file is complete or absent
(`files`: temporary name, fsync, rename). Does not know: torch, scenes, what an algorithm keeps in its state.

Reading order: `files`, `states` (arrays and JSON), `quantization` (weights at 8 bits), `checkpoints` (weights
and card), `runs` (a training run's folder), `episodes` (Minari data sets).
"""
