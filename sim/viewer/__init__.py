"""Viewer: `sim.viewer.app.window.watch(show)` shows a running agent in a window, or records it to a video.

In goes a `Show` (`contract/`), whose every step gives a `Moment`: pictures (H, W, 3) uint8, rewards and
returns of N worlds, decisions and percepts. Out come pictures, on a display or in an mp4 or GIF, and a
`Watched` with the returns of the episodes that ended. A world with a renderer and controls of its own (a
board, a camera) brings an `InteractiveRenderer`, which takes `Gesture`s.

It knows no world, no algorithm and no model: actions by their names, decisions as numbers.

Rooms, from the seam to the window: `contract` (show, moment, gesture), `keymap`, `playback` (a show being
stepped and remembered), `draw` (theme, layout, charts), `overlays` (the picture and what is drawn on it),
`panels` (beside it), `gallery` (samples in the place of a world), `output` (videos, screenshots), `app` (the
loop, the controls, the whole screen).

To add a panel: a module in `panels`, a number in `draw.layout`, an entry of `panels.panels.PANELS` and a line
in `keymap.BINDINGS`.
"""
