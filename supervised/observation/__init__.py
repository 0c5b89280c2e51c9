"""Percepts as an agent's observation: slots, noise, the wrapped environment."""
