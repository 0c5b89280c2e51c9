"""Text: the grammars of captions, and decoding that is constrained to them.

`grammar` turns facts into a sentence and back, exactly; `caption_grammars` holds one a game.
"""
