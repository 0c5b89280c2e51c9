"""The verb ``uci``: a scene's chess agent as a UCI engine."""
