"""Text: caption grammars and constrained decoding."""
