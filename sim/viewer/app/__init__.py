"""The application: the window's loop, its controls, its choices, and the whole screen.

Read `window` (the one loop), `viewer` (commands change choices), `transport` and `recording` (time, and what
is kept of it), `screen` (choices and history become a picture), `controls`, `pointer` and `gallery_input`
(events become commands and gestures).
"""
