"""Evaluation of agents: scores over whole episodes, statistics of scores, human-normalised scores, saliency.

In: any policy and a function that makes worlds. Out: episodes with metrics and intervals, or saliency maps.
Does not know: how the policy was trained, scenes, files.

Reading order: `evaluate` (whole episodes), `statistics` (IQM, bootstrap, probability of improvement), `human`
(published human scores), `saliency` (which pixels matter for a decision). Two players against each other:
`paired_match` (both sides of each opening, all games in one batch), `elo` (differences with intervals over
pairs), `gating` (whether a candidate replaces the incumbent).
"""
