"""The application: the window's loop, its controls, its choices, and the whole screen.

Read `window` (the one loop), `viewer` (the show, the choices, the screen), `commands` (what a person asks of
it), `transport`, `recording` and `person_control` (time, what is kept of it, who plays), `screen` (choices
and history become a picture), `controls`, `pointer` and `gallery_input` (events become commands, gestures).
"""
