"""Commands of the window by name: those of keys and buttons change its choices, the show, or write files."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pygame

from sim.viewer.app.chart_export import save_charts
from sim.viewer.app.viewer import MESSAGE_SECONDS, Viewer
from sim.viewer.errors import ViewerError
from sim.viewer.keymap import GESTURES, Command
from sim.viewer.output import files
from sim.viewer.playback.view import Choices


class Commands:
    """Commands of one viewer, by name."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        transport, percepts, playlist = viewer.transport, viewer.percepts, viewer.playlist
        self._simple: dict[Command, Callable[[], object]] = {
            Command.PAUSE: self._toggle_pause,
            Command.NEXT_EVENT: lambda: transport.jump(+1),
            Command.PREVIOUS_EVENT: lambda: transport.jump(-1),
            Command.LOOP: transport.mark,
            Command.SLOWER: lambda: transport.change_speed(-1),
            Command.FASTER: lambda: transport.change_speed(+1),
            Command.GRID: self._toggle_grid,
            Command.SALIENCY: lambda: self._explain(Choices.with_next_saliency),
            Command.SALIENCY_STRENGTH: lambda: self._explain(Choices.with_next_opacity),
            Command.PERCEPTS: percepts.toggle,
            Command.SPLIT: lambda: percepts.split(Choices.with_next_split),
            Command.ROBOT: self._toggle_robot,
            Command.SOUND: self._toggle_sound,
            Command.PRESENT: self._toggle_presentation,
            Command.LARGER: lambda: viewer.zoom(+1),
            Command.SMALLER: lambda: viewer.zoom(-1),
            Command.USUAL_SIZE: lambda: viewer.zoom(0),
            Command.HANDOVER: viewer.person.hand_over,
            Command.RESET: self._start_again,
            Command.NEW_SEED: self._take_new_seed,
            Command.SCREENSHOT: self._save_screenshot,
            Command.RECORD: self._toggle_recording,
            Command.EXPORT: self._export_charts,
            Command.NEXT_SCENE: lambda: viewer.travel(playlist.to_scene(+1)),
            Command.PREVIOUS_SCENE: lambda: viewer.travel(playlist.to_scene(-1)),
            Command.NEXT_CHECKPOINT: lambda: viewer.travel(playlist.to_checkpoint(+1)),
            Command.PREVIOUS_CHECKPOINT: lambda: viewer.travel(playlist.to_checkpoint(-1)),
            Command.HELP: self._toggle_help,
            Command.LEAVE: self._leave,
            Command.QUIT: self._quit,
        }
        self._numbered: dict[Command, Callable[[int], object]] = {
            Command.FORWARD: transport.forward,
            Command.BACK: transport.back,
            Command.DIVIDER: percepts.move_divider,
            Command.PANEL: self._fold,
        }

    def do(self, wanted: Command, number: int = 1) -> None:
        """Execute a command; `number` is the panel's, or how many steps."""
        abilities = self._viewer.facts.abilities
        if wanted is Command.FLIP and "robot" in abilities:
            wanted = Command.ROBOT
        if wanted is Command.SAVE and "episode" in abilities:
            wanted = Command.SAVE_EPISODE
        if wanted is Command.COPY_FEN and "table" not in abilities:
            self._viewer.percepts.copy_fen()
        elif wanted in GESTURES:
            needs, gestures = GESTURES[wanted]
            if needs in abilities:
                self._viewer.tell(gestures[min(number, len(gestures)) - 1])
        elif wanted in self._numbered:
            self._numbered[wanted](number)
        else:
            self._simple[wanted]()

    def _toggle_pause(self) -> None:
        self._viewer.transport.toggle_pause()
        if not self._viewer.choices.paused:
            self._viewer.player.stop()

    def _toggle_grid(self) -> None:
        viewer = self._viewer
        if viewer.facts.num_worlds > 1 or viewer.choices.grid:
            viewer.show_grid(not viewer.choices.grid)
        else:
            viewer.say("there is only one world in this show")

    def _explain(self, changed: Callable[[Choices], Choices]) -> None:
        if self._viewer.offers("saliency"):
            self._viewer.choices = changed(self._viewer.choices)

    def _toggle_robot(self) -> None:
        """Show or hide what acts on a robot; to be shown, it takes the place of percepts."""
        viewer, chosen = self._viewer, self._viewer.choices
        if viewer.offers("robot"):
            covered = chosen.percepts and "percepts" in viewer.facts.abilities
            shown = chosen.robot and not covered
            viewer.choices = replace(chosen, robot=not shown, percepts=chosen.percepts and not covered)

    def _toggle_sound(self) -> None:
        """Pause and play the sound of the moment shown, or stop it."""
        viewer, moment = self._viewer, self._viewer.view.moment
        sound = None if moment is None else moment.sound
        if viewer.player.playing:
            viewer.player.stop()
            viewer.say("")
        elif sound is not None:
            viewer.transport.set_paused(True)
            try:
                viewer.player.play(sound)
            except pygame.error as error:
                viewer.say(f"no sound can be played here: {error}")
            else:
                viewer.say(f"playing {sound.seconds:.0f} s of sound; A stops, Space goes on", sound.seconds)
        elif "sound" in viewer.facts.abilities:
            viewer.say("there is no sound to play yet")

    def _toggle_presentation(self) -> None:
        """Begin or end the presentation; the window follows with the full screen."""
        self._viewer.choices = replace(self._viewer.choices, presents=not self._viewer.choices.presents)

    def _toggle_help(self) -> None:
        self._viewer.choices = replace(self._viewer.choices, help=not self._viewer.choices.help)

    def _fold(self, number: int) -> None:
        viewer = self._viewer
        if number not in viewer.layout().panels:
            empty = number in (3, 5, 7, 8, 9)
            viewer.say(f"panel {number} has nothing to show" if empty else "no room for that panel")
            return
        viewer.choices = replace(viewer.choices, folded=viewer.choices.folded ^ {number})

    def _start_again(self) -> None:
        viewer, seed = self._viewer, self._viewer.seed
        viewer.transport.unloop()
        viewer.session.cursor = None
        viewer.session.simulation.restart(seed)
        viewer.say("started again" if seed is None else f"started again from seed {seed}")

    def _take_new_seed(self) -> None:
        viewer = self._viewer
        if "replay" in viewer.facts.abilities:
            viewer.say("a replay has its own seed; R plays it again")
            return
        viewer.seed = random.SystemRandom().randrange(2**31) if viewer.seed is None else viewer.seed + 1
        self._start_again()

    def _save_screenshot(self) -> None:
        viewer = self._viewer
        viewer.say(files.save_picture(viewer.facts.title, viewer.snapshot()))

    def _export_charts(self) -> None:
        viewer = self._viewer
        viewer.say(save_charts(viewer.facts, viewer.choices, viewer.view))

    def _toggle_recording(self) -> None:
        viewer = self._viewer
        if viewer.facts.loading:
            viewer.say("nothing to record yet")
        elif viewer.recording:
            viewer.stop_recording()
        else:
            try:
                viewer.record(Path(f"{files.stem(viewer.facts.title)}.mp4"))
            except ViewerError as error:
                viewer.say(str(error), 2 * MESSAGE_SECONDS)
            else:
                viewer.say("recording; V stops")

    def _leave(self) -> None:
        """Go back one step, and never out of the window."""
        viewer = self._viewer
        if viewer.choices.help:
            self._toggle_help()
        elif viewer.choices.grid:
            viewer.show_grid(False)
        elif viewer.session.cursor is not None:
            viewer.transport.return_to_newest()
        elif viewer.choices.presents:
            self._toggle_presentation()
        else:
            viewer.say("nothing to go back to · Ctrl+Q quits")

    def _quit(self) -> None:
        self._viewer.done = True
