"""Models that read table rows: (D,) float32 → numbers with a spread.

Reading order: `regressor` (fully connected network with predicted mean and standard deviation).
"""
