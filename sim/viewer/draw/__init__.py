"""Drawing primitives: theme, layout, charts, cards, the transport bar and messages."""
