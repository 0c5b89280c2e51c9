"""Captions: exact grammars that turn facts into a sentence and back, and decoding constrained to them.

`grammar` turns facts into a sentence and back, exactly; `caption_grammars` holds one a game;
`constrained_decoding` lets a network write such sentences only.
"""
