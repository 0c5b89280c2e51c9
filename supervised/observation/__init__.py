"""Percepts as an agent's observation: (N, D) float32 slots, noise, the wrapped environments.

Read `percept_observation` (slots, tracking), `percept_noise`, `percept_env` (worlds whose agent gets
percepts).
"""
