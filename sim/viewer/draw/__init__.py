"""Drawing primitives: theme, layout, charts, cards, the transport bar and messages.

Pure functions of numbers, texts and rectangles; they know no show.
"""
