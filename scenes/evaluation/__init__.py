"""Scores: agents over whole games, perceptions and samplers on held-out data, comparisons, learning curves.

Every score comes with N, a 95 % interval, its protocol and a baseline beside it.
"""
