"""Training sessions: what is trained, saved, logged and resumed."""
