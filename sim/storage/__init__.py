"""What lies on disk: checkpoints, run folders, exact states, recorded episodes."""
