"""Scores: agents over whole games, perceptions and samplers on held-out data, comparisons."""
