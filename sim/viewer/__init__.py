"""Viewer: `sim.viewer.app.window.watch(show)` shows a running agent in a window, or records it to a video.

In goes a `Show` (`show.py`), whose every step gives a `Moment`: pictures (H, W, 3) uint8, rewards
and returns of N worlds, decisions and percepts. Out come pictures, on a display or in an mp4 or GIF,
and a `Watched` with the returns of the episodes that ended. A world with a renderer and controls of its
own (a board, a camera) brings an `Easel`, which takes `Gesture`s.

It knows no world, no algorithm and no model: actions by their names, decisions as numbers.

A sampler's examples are shown in `gallery`, a folder of its own, by the same loop.

Reading order: show, view, packing, history, simulation, attribution, act, tour (what there is to see),
theme, layout, charts, panels, actions, sees, learning, picture, overlay, boxes, squares, skeleton, depth,
heat, hud, screen (how it is drawn), keymap, recorder, files, viewer, pointer, controls, window (its use).
A new panel is a number in `layout`, an entry of `panels.PANELS` and a line in `keymap.BINDINGS`.
"""
