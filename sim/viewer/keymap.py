"""Key bindings: commands of the window, and actions for a person who plays.

A world's keys follow from its action names: names made of directions and FIRE, such as UPRIGHTFIRE or
"push left", are played with arrows or W A S D and Space; all others with the digit keys.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import pygame

from sim.viewer.contract.gesture import Gesture


class Command(enum.Enum):
    """Commands of the window."""

    PAUSE = enum.auto()
    FORWARD = enum.auto()
    BACK = enum.auto()
    NEXT_EVENT = enum.auto()
    PREVIOUS_EVENT = enum.auto()
    LOOP = enum.auto()
    SLOWER = enum.auto()
    FASTER = enum.auto()
    GRID = enum.auto()
    HANDOVER = enum.auto()
    RESET = enum.auto()
    NEW_SEED = enum.auto()
    PANEL = enum.auto()  # with the panel's number
    SCREENSHOT = enum.auto()
    RECORD = enum.auto()
    EXPORT = enum.auto()
    FLIP = enum.auto()
    SAVE = enum.auto()
    SAVE_EPISODE = enum.auto()
    FOLLOW = enum.auto()
    CAMERA = enum.auto()  # 1 the next viewpoint, 10 (with Shift) the first one again
    SHOVE_LEFT = enum.auto()
    SHOVE_RIGHT = enum.auto()
    ROBOT = enum.auto()
    TARGET = enum.auto()  # 1 less, 2 more
    ORBIT = enum.auto()  # 1 left, 2 right, 3 up, 4 down
    ZOOM = enum.auto()  # 1 nearer, 2 farther
    NEXT_SCENE = enum.auto()
    PREVIOUS_SCENE = enum.auto()
    FIND_SCENE = enum.auto()
    NEXT_CHECKPOINT = enum.auto()
    PREVIOUS_CHECKPOINT = enum.auto()
    SALIENCY = enum.auto()
    SALIENCY_STRENGTH = enum.auto()
    SOUND = enum.auto()
    PRESENT = enum.auto()
    LARGER = enum.auto()
    SMALLER = enum.auto()
    USUAL_SIZE = enum.auto()
    PERCEPTS = enum.auto()
    SPLIT = enum.auto()
    DIVIDER = enum.auto()  # 1 to the right, 10 (with Shift) to the left
    ORIGIN = enum.auto()
    NEW_GAME = enum.auto()
    TAKE_BACK = enum.auto()
    COPY_FEN = enum.auto()
    COPY_PGN = enum.auto()
    PASTE = enum.auto()
    TYPE_VALUE = enum.auto()
    HELP = enum.auto()
    LEAVE = enum.auto()  # one step back
    QUIT = enum.auto()


_PANELS = "1 … 9"


@dataclass(frozen=True, slots=True)
class Binding:
    """One line of the help: what it does, its keys, and the same with the mouse.

    `needs` is the ability (`view.Facts`) without which the line means nothing, and `lacks` those, with spaces
    between, with which it does not; "" if there is none.
    """

    does: str
    keys: str
    mouse: str = ""
    needs: str = ""
    lacks: str = ""

    def useful(self, abilities: Collection[str]) -> bool:
        """Whether the line applies to a show with these abilities."""
        return (not self.needs or self.needs in abilities) and not set(self.lacks.split()) & set(abilities)

    def with_keys(self, free: Callable[[str], bool]) -> Binding:
        """The binding with only the keys that are `free`; digits that are not fold a panel with Shift."""
        if self.keys == _PANELS:
            return self if free("1") else replace(self, keys=f"Shift+{_PANELS}")
        return replace(self, keys="  ".join(name for name in self.keys.split("  ") if free(name)))


BINDINGS = (
    Binding("Pause, resume", "Space  P", "pause button"),
    Binding("Step forward", "→  .", "right button"),
    Binding("Step back", "←  ,", "left button, or drag the track"),
    Binding("Ten steps forward, back", "Shift+.  Shift+,"),
    Binding("Next, previous reward or surprise", "Shift+→  Shift+←", "", "events"),
    Binding("Loop a segment: begin, end, stop", "B", "", "events"),
    Binding("Slower, faster", "−  =", "− and + buttons"),
    Binding("Human control, agent control", "M", "AGENT / YOU", "play"),
    Binding("First position, last position", "Home  End", "click the graph or a move", "analysis"),
    Binding("Next, previous inaccuracy, mistake or blunder", "↓  ↑", "", "analysis"),
    Binding("Next game of the file; previous with Shift", "N", "", "analysis"),
    Binding("Type an input or a prompt of your own", "Enter", "Type a prompt button", "type"),
    Binding("Play the sound, stop it", "A", "", "sound"),
    Binding("Choose a sample", "arrows", "click it", "gallery"),
    Binding("New samples, from a new seed", "N", "", "gallery"),
    Binding("Next condition; previous with Shift", "B", "click it", "conditions"),
    Binding("Interpolate between two samples", "Enter at each", "drag", "latents"),
    Binding("Choose a latent slider; move it", "I  K;  J  L", "drag it", "latents"),
    Binding("Type the value of the chosen slider", "Ctrl+Enter", "click the value", "latents"),
    Binding("Latent-space walk, stop", "W", "", "latents"),
    Binding("Show the denoising steps", "D", "", "trace"),
    Binding("Inpainting: paint a mask", "F  arrows  Enter", "drag over the picture", "fill"),
    Binding("Clear the mask", "X", "", "fill"),
    Binding("Real examples, samples", "T", "", "gallery"),
    Binding("Back to the previous page", "Esc", "SAMPLES …", "gallery"),
    Binding("Move a piece", "arrows  Enter", "click twice, or drag", "point"),
    Binding("Flip the board", "F", "Flip button", "flip"),
    Binding("New game: colour, opponent, clock", "N", "New game button", "table"),
    Binding("Take back the last moves", "U", "Take back button", "table"),
    Binding("Go to a position of the game", "←  →", "click its move", "board", lacks="analysis"),
    Binding("Copy the position (FEN), the game (PGN)", "Ctrl+C  Ctrl+Shift+C", "", "table"),
    Binding("Paste a FEN or PGN to play from", "Ctrl+V", "", "table"),
    Binding("Save the game (PGN)", "X", "", "save"),
    Binding("Save the episode as an action replay (.pfr)", "X", "", "episode"),
    Binding("Orbit the camera", "J  L  I  K", "drag the picture", "orbit"),
    Binding("Zoom in, out", "PgUp  PgDn", "wheel", "orbit"),
    Binding("Camera follows, stands still", "C", "", "follow"),
    Binding("Camera: side, front, three-quarter, behind", "Z", "", "orbit"),
    Binding("Reset the camera", "Shift+Z", "double-click", "orbit"),
    Binding("Ground contacts, forces, torques", "F", "frame button", "robot"),
    Binding("Push the robot to the left, to the right", "Ctrl+←  Ctrl+→", "Ctrl+drag", "robot"),
    Binding(
        "Target of the agent, such as its speed: less, more",
        "Q  W",
        "drag the slider",
        "targets",
        lacks="dream",
    ),
    Binding("Denoising steps of the dream; fewer with Shift", "K", "drag the slider", "dream"),
    Binding("Frames until the dream is synchronised; fewer with Shift", "L", "drag the slider", "twin"),
    Binding("Synchronise the dream with the emulator", "Y", "", "twin"),
    Binding("Branch: the futures of all actions, in both; clear", "B", "", "twin"),
    Binding(
        "Saliency of action and value, action, value; its strength", "E  Shift+E", "spot button", "saliency"
    ),
    Binding("Perception overlay", "O", "frame button", "percepts"),
    Binding("Split view: picture and map, truth and map, none", "Shift+O", "", "dense"),
    Binding("Move the divider of the split view; to the left with Shift", "D", "drag it", "dense"),
    Binding("Copy the FEN that is read", "Ctrl+C", "click it", "fen", lacks="table"),
    Binding("Evaluation, arrows and line", "O", "Analysis button", "board"),
    Binding("Percepts of truth or model; boxes, points with noise", "T", "", "origin"),
    Binding("All worlds side by side", "G", "grid button; click the picture (games)", "worlds"),
    Binding("Next scene; previous with Shift", "Tab", "", "scenes"),
    Binding("Find a scene", "Ctrl+K", "magnifier button", "scenes"),
    Binding("Previous, next checkpoint", "[  ]", "", "checkpoints"),
    Binding("Restart; with a new seed", "R  Shift+R", lacks="analysis"),
    Binding("Fold a panel", _PANELS, "click its title"),
    Binding("Larger text, smaller, as the window asks", "Ctrl++  Ctrl+−  Ctrl+0"),
    Binding("Presentation: full screen, two panels", "F11", "screen button"),
    Binding("Screenshot", "S  F12"),
    Binding("Save the charts' values (CSV); of one: point at it", "Ctrl+E", "", "events"),
    Binding("Record, stop recording", "V", "red button"),
    Binding("Help, close", "H", "? button, click"),
    Binding("Back one step: from help, grid, past, presentation", "Esc"),
    Binding("Quit", "Ctrl+Q", "close the window"),
)

_COMMANDS = {
    pygame.K_SPACE: Command.PAUSE,
    pygame.K_p: Command.PAUSE,
    pygame.K_RIGHT: Command.FORWARD,
    pygame.K_LEFT: Command.BACK,
    pygame.K_PERIOD: Command.FORWARD,
    pygame.K_COMMA: Command.BACK,
    pygame.K_MINUS: Command.SLOWER,
    pygame.K_KP_MINUS: Command.SLOWER,
    pygame.K_EQUALS: Command.FASTER,
    pygame.K_PLUS: Command.FASTER,
    pygame.K_KP_PLUS: Command.FASTER,
    pygame.K_g: Command.GRID,
    pygame.K_b: Command.LOOP,
    pygame.K_m: Command.HANDOVER,
    pygame.K_r: Command.RESET,
    pygame.K_s: Command.SCREENSHOT,
    pygame.K_F12: Command.SCREENSHOT,
    pygame.K_v: Command.RECORD,
    pygame.K_f: Command.FLIP,
    pygame.K_x: Command.SAVE,
    pygame.K_c: Command.FOLLOW,
    pygame.K_z: Command.CAMERA,
    pygame.K_e: Command.SALIENCY,
    pygame.K_a: Command.SOUND,
    pygame.K_o: Command.PERCEPTS,
    pygame.K_d: Command.DIVIDER,
    pygame.K_t: Command.ORIGIN,
    pygame.K_n: Command.NEW_GAME,
    pygame.K_u: Command.TAKE_BACK,
    pygame.K_TAB: Command.NEXT_SCENE,
    pygame.K_LEFTBRACKET: Command.PREVIOUS_CHECKPOINT,
    pygame.K_RIGHTBRACKET: Command.NEXT_CHECKPOINT,
    pygame.K_h: Command.HELP,
    pygame.K_F1: Command.HELP,
    pygame.K_F11: Command.PRESENT,
    pygame.K_ESCAPE: Command.LEAVE,
}

#: Keys with Shift that mean more than their command does with it.
_SHIFTED_KEYS = {pygame.K_RIGHT: Command.NEXT_EVENT, pygame.K_LEFT: Command.PREVIOUS_EVENT}

_SHIFTED = {
    Command.RESET: Command.NEW_SEED,
    Command.NEXT_SCENE: Command.PREVIOUS_SCENE,
    Command.SALIENCY: Command.SALIENCY_STRENGTH,
    Command.PERCEPTS: Command.SPLIT,
}

_NUMBERED = {
    pygame.K_j: (Command.ORBIT, 1),
    pygame.K_l: (Command.ORBIT, 2),
    pygame.K_i: (Command.ORBIT, 3),
    pygame.K_k: (Command.ORBIT, 4),
    pygame.K_q: (Command.TARGET, 1),
    pygame.K_w: (Command.TARGET, 2),
    pygame.K_PAGEUP: (Command.ZOOM, 1),
    pygame.K_PAGEDOWN: (Command.ZOOM, 2),
}

_PLUS = (pygame.K_PLUS, pygame.K_EQUALS, pygame.K_KP_PLUS)  # on some layouts + takes Shift
_MINUS = (pygame.K_MINUS, pygame.K_KP_MINUS)

#: With Ctrl, or with the command key.
_CONTROLLED = {
    (pygame.K_c, False): Command.COPY_FEN,
    (pygame.K_c, True): Command.COPY_PGN,
    (pygame.K_v, False): Command.PASTE,
    (pygame.K_q, False): Command.QUIT,
    (pygame.K_e, False): Command.EXPORT,
    (pygame.K_k, False): Command.FIND_SCENE,
    (pygame.K_0, False): Command.USUAL_SIZE,
    (pygame.K_RETURN, False): Command.TYPE_VALUE,
    (pygame.K_KP_ENTER, False): Command.TYPE_VALUE,
    (pygame.K_LEFT, False): Command.SHOVE_LEFT,
    (pygame.K_RIGHT, False): Command.SHOVE_RIGHT,
    **{(key, shift): Command.LARGER for key in _PLUS for shift in (False, True)},
    **{(key, shift): Command.SMALLER for key in _MINUS for shift in (False, True)},
}

#: Commands that a show obeys by a gesture: the ability it needs, and a gesture for each number.
GESTURES: dict[Command, tuple[str, tuple[Gesture, ...]]] = {
    Command.FLIP: ("flip", (Gesture("flip"),)),
    Command.SAVE: ("save", (Gesture("save"),)),
    Command.SAVE_EPISODE: ("episode", (Gesture("save"),)),
    Command.FOLLOW: ("follow", (Gesture("follow"),)),
    Command.CAMERA: ("orbit", (Gesture("camera"), Gesture("camera", name="reset"))),
    Command.SHOVE_LEFT: ("robot", (Gesture("shove", -1.0),)),
    Command.SHOVE_RIGHT: ("robot", (Gesture("shove", 1.0),)),
    Command.TARGET: ("targets", (Gesture("nudge", 0, -0.1), Gesture("nudge", 0, 0.1))),
    Command.ORIGIN: ("origin", (Gesture("origin"),)),
    Command.TAKE_BACK: ("table", (Gesture("take_back"),)),
    Command.COPY_FEN: ("table", (Gesture("copy", name="fen"),)),
    Command.COPY_PGN: ("table", (Gesture("copy", name="pgn"),)),
    Command.ORBIT: (
        "orbit",
        tuple(Gesture("orbit", *way) for way in ((-0.05, 0.0), (0.05, 0.0), (0.0, -0.05), (0.0, 0.05))),
    ),
    Command.ZOOM: ("orbit", (Gesture("zoom", 1.1), Gesture("zoom", 1 / 1.1))),
}

#: Commands that go on while their key is held.
REPEATING = frozenset(
    {
        Command.FORWARD,
        Command.BACK,
        Command.NEXT_EVENT,
        Command.PREVIOUS_EVENT,
        Command.SLOWER,
        Command.FASTER,
        Command.ORBIT,
        Command.ZOOM,
        Command.TARGET,
        Command.DIVIDER,
    }
)

_DIRECTIONS = {
    pygame.K_UP: "UP",
    pygame.K_w: "UP",
    pygame.K_DOWN: "DOWN",
    pygame.K_s: "DOWN",
    pygame.K_LEFT: "LEFT",
    pygame.K_a: "LEFT",
    pygame.K_RIGHT: "RIGHT",
    pygame.K_d: "RIGHT",
    pygame.K_SPACE: "FIRE",
    pygame.K_LCTRL: "FIRE",
    pygame.K_RCTRL: "FIRE",
}
_DIGITS = {pygame.K_0 + digit: digit for digit in range(10)} | {
    key: digit
    for digit, key in enumerate(
        (pygame.K_KP_0, pygame.K_KP_1, pygame.K_KP_2, pygame.K_KP_3, pygame.K_KP_4)
        + (pygame.K_KP_5, pygame.K_KP_6, pygame.K_KP_7, pygame.K_KP_8, pygame.K_KP_9)
    )
}

#: Keys that the help names otherwise than by their letter.
_CALLED = {"Space": pygame.K_SPACE, "→": pygame.K_RIGHT, "←": pygame.K_LEFT}

#: Keys that a show names otherwise than by their letter.
_NAMES = {
    pygame.K_RETURN: "return",
    pygame.K_KP_ENTER: "return",
    pygame.K_ESCAPE: "escape",
    pygame.K_UP: "up",
    pygame.K_DOWN: "down",
    pygame.K_LEFT: "left",
    pygame.K_RIGHT: "right",
    pygame.K_HOME: "home",
    pygame.K_END: "end",
}

#: The abilities whose lines are about keys that the picture itself asks for.
_ON_THE_PICTURE = frozenset(
    {"gallery", "latents", "trace", "fill", "conditions", "point", "analysis", "dream", "twin"}
)

_TOKEN = re.compile("UP|DOWN|LEFT|RIGHT|FIRE")
_IDLE = frozenset({"NOOP", "NOP", "NONE", "IDLE", "STAY", "NOTHING", "COAST"})


def command(key: int, shift: bool = False) -> tuple[Command, int] | None:
    """The command of a key and its number (a panel's; steps for BACK and FORWARD), if it has one."""
    if key in _NUMBERED:
        return _NUMBERED[key]
    digit = _DIGITS.get(key, 0)
    if 1 <= digit <= 9:
        return Command.PANEL, digit
    found = _SHIFTED_KEYS.get(key) if shift else None
    found = found or _COMMANDS.get(key)
    if shift:
        found = _SHIFTED.get(found, found) if found is not None else None
    return None if found is None else (found, 10 if shift else 1)


def controlled(key: int, shift: bool) -> Command | None:
    """The command of a key that is pressed with Ctrl, if it has one."""
    return _CONTROLLED.get((key, shift))


def key_name(key: int) -> str:
    """A show's name of a key; both Enter keys are ``"return"``.

    >>> key_name(pygame.K_KP_ENTER), key_name(pygame.K_q)
    ('return', 'q')
    """
    return _NAMES.get(key) or (chr(key) if ord("a") <= key <= ord("z") else "")


def help_lines(
    keys: GameKeys, abilities: Collection[str], *, playing: bool = False, asks: Collection[str] = ()
) -> list[Binding]:
    """The lines of the help that apply now, each with those of its keys that work now.

    Args:
        keys: that play the world.
        abilities: see `view.Facts`.
        playing: whether a person plays and the world goes on, so that these keys are no commands.
        asks: names of keys that the picture takes, which are no commands either.
    """

    def free(name: str) -> bool:
        name = name.removeprefix("Shift+")
        key = _CALLED.get(name) or (ord(name.lower()) if len(name) == 1 else 0)
        return not (playing and keys.owns(key)) and key_name(key) not in asks

    useful = [binding for binding in BINDINGS if binding.useful(abilities)]
    lines = [b if b.needs in _ON_THE_PICTURE else b.with_keys(free) for b in useful]
    lines = [line for line in lines if line.keys or line.mouse]
    played = keys.described()
    return [*lines, Binding(played, "You play with")] if played else lines


class GameKeys:
    """Maps the held keys to one of a world's actions.

    >>> keys = GameKeys(["NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE"])
    >>> keys.action({pygame.K_RIGHT, pygame.K_SPACE}, last=0)
    4
    """

    def __init__(self, action_names: Sequence[str]) -> None:
        self._tokens = [_tokens(name) for name in action_names]
        self._directed: dict[frozenset[str], int] = {}
        for i, tokens in enumerate(self._tokens):
            if tokens:
                self._directed.setdefault(tokens, i)
        self._idle = next((i for i, tokens in enumerate(self._tokens) if tokens == frozenset()), None)
        known = frozenset().union(*self._directed)
        self._sideways = bool(known & {"LEFT", "RIGHT"}) and not known & {"UP", "DOWN"}
        self._upright = bool(known & {"UP", "DOWN"}) and not known & {"LEFT", "RIGHT"}
        digits_needed = any(tokens is None for tokens in self._tokens)
        self._keys = {key for key, token in _DIRECTIONS.items() if self._meaning(token) in known}
        self._digits = {k: d for k, d in _DIGITS.items() if digits_needed and d < len(self._tokens)}

    def owns(self, key: int) -> bool:
        """Whether `key` plays the world, and so is no command of the window while a person plays."""
        return key in self._keys or key in self._digits

    @property
    def playable(self) -> bool:
        """Whether any key plays; False for continuous actions."""
        return bool(self._keys or self._digits)

    def action(self, held: Collection[int], last: int) -> int:
        """The action of the held keys.

        A combination that the world lacks falls back to the action that uses most of it. With no key
        held it is the world's own idle action, or `last` where there is none.
        """
        for key, digit in self._digits.items():
            if key in held:
                return digit
        wanted = frozenset(self._meaning(_DIRECTIONS[key]) for key in held if key in self._keys)
        fitting = [tokens for tokens in self._directed if tokens <= wanted]
        if fitting:
            return self._directed[max(fitting, key=len)]
        return last if self._idle is None else self._idle

    def described(self) -> str:
        """The keys in words, for the help; "" if none plays."""
        parts = []
        if self._keys & {pygame.K_UP, pygame.K_LEFT}:
            parts.append(self._steering())
        if pygame.K_SPACE in self._keys:
            parts.append("Space fires")
        if self._digits:
            parts.append(f"0 … {max(self._digits.values())} choose an action")
        return ", ".join(parts)

    def _steering(self) -> str:
        """The keys that steer, with what they do where they all move along one axis."""
        if self._upright:
            return "↑ ↓ or W S move up and down"
        return "← → or A D move left and right" if self._sideways else "arrows or W A S D"

    def _meaning(self, token: str) -> str:
        """Map both pairs of arrows to the axis of a world that has only one."""
        if self._sideways:
            return {"UP": "RIGHT", "DOWN": "LEFT"}.get(token, token)
        if self._upright:
            return {"RIGHT": "UP", "LEFT": "DOWN"}.get(token, token)
        return token


def _tokens(name: str) -> frozenset[str] | None:
    """The directions in an action's name; empty for an idle action, None if it names neither."""
    words = re.findall("[A-Z]+", name.upper())
    if "".join(words) in _IDLE or (words and words[0] in _IDLE):
        return frozenset()
    found: frozenset[str] = frozenset()
    for word in words:
        if re.fullmatch(f"(?:{_TOKEN.pattern})+", word):
            found |= frozenset(_TOKEN.findall(word))
    return found or None
