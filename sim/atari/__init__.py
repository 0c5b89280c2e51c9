"""Atari 2600 games on the Arcade Learning Environment: `world` has both backends, `resize` their pictures."""
