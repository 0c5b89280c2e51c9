"""Main loop of the viewer, in a window or off-screen: `watch` runs a `Show`.

In a window the picture follows the simulation at up to 60 Hz, and the loop sleeps while nothing changes.
Headless, it is drawn once for every step, as fast as both can go.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pygame

from sim.progress import advance, waiting
from sim.viewer.app.controls import Controls
from sim.viewer.app.viewer import Viewer
from sim.viewer.contract.show import Playlist, PlaylistEntry, Show
from sim.viewer.draw import layout
from sim.viewer.draw.scaling import grown
from sim.viewer.draw.theme import PALETTE
from sim.viewer.errors import ViewerError
from sim.viewer.output.recorder import check_target
from sim.viewer.playback.view import Facts

HINT = ("Space pauses", "← → step through time", "M: you play", "H shows all keys")

_SIZE = (1280, 800)
_HEADLESS_SIZE = (960, 600)
_DOZE_SECONDS = 0.25
_POLL_SECONDS = 0.015  # between two looks for input; pygame.event.wait looks a thousand times a second
_NEWS_SECONDS = 0.004  # between two looks for the next picture, once one could be shown
_CALM_SECONDS = 1 / 20  # between two looks at a show that has not changed for a while
_KEY_REPEAT_MS = (350, 33)  # before the first repetition, and between two
_DESKTOP_HEIGHT = 1080  # the height that scale 1 is made for


@dataclass(frozen=True, slots=True)
class Watched:
    """Result of `watch`: frames drawn, episodes and their returns, and the recording.

    Attributes:
        frames: pictures drawn; headless, one per world step, the start included.
        fps: those over the seconds since the first, until the recording was complete.
        episodes: how many ended, in all worlds; those in which a person pushed a robot do not count.
        returns: their unclipped returns, in order.
        file: the finished recording, if there is one.
        interrupted: whether Ctrl-C ended it.
    """

    frames: int
    fps: float
    episodes: int
    returns: list[float]
    file: Path | None
    interrupted: bool = False


def watch(
    show: Show | PlaylistEntry,
    *,
    size: tuple[int, int] | None = None,
    fps: float = 60,
    frames: int | None = None,
    record: Path | None = None,
    headless: bool = False,
    person: bool = False,
    seed: int | None = None,
    scale: float | None = None,
    playlist: Playlist | None = None,
    overwrite: bool = False,
) -> Watched:
    """Run a show in the viewer until it is closed, or for a number of pictures.

    Args:
        show: to watch; it is used from another thread, and closed. An entry is made there while the window is
            open and says what it loads.
        size: of the window, or of the pictures if headless; None: 1280×800, or 960×600 if headless.
        fps: pictures a second at most, in a window.
        frames: pictures after which to end; None: never.
        record: an .mp4 or .gif file for everything that is drawn.
        headless: draw off-screen, uncapped, once for every step; needs no display.
        person: whether a person plays first.
        seed: of the first start; None: whatever the show starts with.
        scale: pixels a length of 1 takes; None: as the display and the size ask for.
        playlist: other scenes and checkpoints, made when a person goes to them.
        overwrite: replace a file that stands at `record`.

    Raises:
        ViewerError: if there is no display, or `record` cannot be written or exists.
        Exception: what the show raised, after the recording is complete, or what making it raised.
    """
    target = None if record is None else check_target(Path(record), overwrite=overwrite)
    title = show.label if isinstance(show, PlaylistEntry) else show.title
    with _opened(size, scale, headless, title, fps) as output:
        first_launch = not headless and is_first_launch()
        viewer = Viewer(
            show,
            size=output.size,
            scale=output.scale,
            seed=seed,
            person=person,
            headless=headless,
            hint=hint_of if first_launch else None,
            playlist=playlist,
        )
        if target is not None:
            viewer.record(target, overwrite=overwrite)
        with waiting("drawing frames", frames) if headless else nullcontext():
            return _run(viewer, output, frames)


def hint_of(facts: Facts) -> str:
    """Message of the first launch; how a person plays is told only where one can."""
    playable = "play" in facts.abilities
    return " · ".join(part for part in HINT if playable or not part.startswith("M:"))


def _run(viewer: Viewer, output: _Output, frames: int | None) -> Watched:
    drawn, first, interrupted = 0, 0.0, False
    controls = Controls(viewer)
    stops_at_errors = frames is not None or isinstance(output, _Offscreen)
    try:
        viewer.open()
        while not viewer.done and (frames is None or drawn < frames):
            output.handle_events(viewer, controls)
            if viewer.advance():
                output.entitle(viewer.facts.title)
                output.present(viewer.draw())
                if viewer.opened:
                    drawn += 1
                    advance()
                    first = first or time.perf_counter()
            elif (stops_at_errors or not viewer.opened) and viewer.error is not None:
                break
    except KeyboardInterrupt:
        interrupted = True
    finally:
        output.vanish()
        returns = viewer.ended()
        try:
            file = viewer.close()
        except KeyboardInterrupt:  # the first one still gets its video; a second one means at once
            if interrupted:
                raise
            interrupted = True
            file = viewer.close()
    seconds = time.perf_counter() - first
    if viewer.error is not None:
        raise viewer.error
    rate = drawn / seconds if drawn else 0.0
    return Watched(drawn, rate, len(returns), returns, file, interrupted)


class _Output(Protocol):
    """Sink of pictures and source of events: a window, or none."""

    size: tuple[int, int]
    scale: float

    def handle_events(self, viewer: Viewer, controls: Controls) -> None: ...

    def entitle(self, title: str) -> None: ...

    def present(self, picture: pygame.Surface) -> None: ...

    def vanish(self) -> None: ...


class _Offscreen:
    """Output without a window: the recorder has the pictures already."""

    def __init__(self, size: tuple[int, int], scale: float) -> None:
        self.size, self.scale = size, scale

    def handle_events(self, viewer: Viewer, controls: Controls) -> None:
        pass

    def entitle(self, title: str) -> None:
        pass

    def present(self, picture: pygame.Surface) -> None:
        pass

    def vanish(self) -> None:
        pass


def _wait_for_events(seconds: float) -> list[pygame.Event]:
    """Events as soon as there are any; none after `seconds`."""
    end = time.perf_counter() + seconds
    while not (events := pygame.event.get()):
        left = end - time.perf_counter()
        if left <= 0:
            break
        time.sleep(min(left, _POLL_SECONDS))
    return events


class _Window:
    """A resizable window with as many pixels as the display really has."""

    def __init__(self, size: tuple[int, int], scale: float | None, title: str, fps: float) -> None:
        desktop = pygame.display.get_desktop_sizes()[0]
        self._asked = scale
        # Some systems leave scaling to the program: a desktop twice as high then means pixels half as big.
        self._coarse = max(1.0, desktop[1] // (_DESKTOP_HEIGHT / 2) / 2)
        wanted = [round(length * self._coarse) for length in size]
        fitting = (min(wanted[0], desktop[0]), min(wanted[1], desktop[1]))
        self._window = pygame.Window(f"{title} · Playfield", fitting, resizable=True, allow_high_dpi=True)
        least = [round(length * self._coarse) for length in layout.MINIMUM]
        self._window.minimum_size = (min(least[0], fitting[0]), min(least[1], fitting[1]))
        self._window.get_surface().fill(PALETTE.ground)
        self._window.flip()
        self._period = 1 / fps
        self._presented = self._polled = 0.0
        self._full = False
        self._windowed = fitting  # size to go back to from the full screen
        self.size, self.scale = self._measure()

    def handle_events(self, viewer: Viewer, controls: Controls) -> None:
        """Wait until the next picture is due or, while nothing changes, until the next event."""
        while True:
            period = _CALM_SECONDS if viewer.calm else _NEWS_SECONDS
            due = max(self._presented + self._period, self._polled + period)
            events = _wait_for_events(due - time.perf_counter() if viewer.awake else _DOZE_SECONDS)
            self.size, self.scale = self._measure()
            viewer.resize(self.size, self.scale)
            for event in events:
                controls.handle(event, self.size[0] / self._window.size[0])
            self._fill_screen(viewer.choices.presents)
            now = time.perf_counter()
            if viewer.done or now >= due or (events and now >= self._presented + self._period):
                self._polled = now
                return

    def _fill_screen(self, full: bool) -> None:
        """Take the whole screen, or give it back; where a system refuses, the layout alone changes."""
        if full == self._full:
            return
        self._full = full
        try:
            if full:
                self._windowed = self._window.size
                self._window.set_fullscreen(desktop=True)
            else:
                self._window.set_windowed()
                self._window.size = self._windowed
        except pygame.error:
            pass

    def entitle(self, title: str) -> None:
        """Name the window after what is on."""
        wanted = f"{title} · Playfield"
        if self._window.title != wanted:
            self._window.title = wanted

    def present(self, picture: pygame.Surface) -> None:
        self._window.get_surface().blit(picture, (0, 0))
        self._window.flip()
        # What came late does not delay the next one: a show at the display's rate would lose some.
        self._presented = max(self._presented + self._period, time.perf_counter() - self._period)

    def vanish(self) -> None:
        """Be seen no more, at once, whatever there is to finish."""
        self._window.hide()

    def _measure(self) -> tuple[tuple[int, int], float]:
        size = self._window.get_surface().get_size()
        density = size[0] / max(1, self._window.size[0])
        return size, self._asked or grown(size, density if density != 1 else self._coarse)


@contextmanager
def _opened(
    size: tuple[int, int] | None, scale: float | None, headless: bool, title: str, fps: float
) -> Iterator[_Output]:
    if headless:
        size = size or _HEADLESS_SIZE
        yield _Offscreen(size, scale or grown(size))
        return
    try:
        pygame.display.init()
        window = _Window(size or _SIZE, scale, title, fps)
    except pygame.error as error:
        pygame.display.quit()
        message = f"no window can be opened here ({error}); watch with --headless --record FILE"
        raise ViewerError(message) from error
    pygame.key.set_repeat(*_KEY_REPEAT_MS)
    try:
        yield window
    finally:
        pygame.display.quit()


def is_first_launch() -> bool:
    """True once for each user; where that cannot be remembered, never."""
    folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "playfield"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "greeted").touch(exist_ok=False)
    except (OSError, RuntimeError):
        return False
    return True
