"""Keys: actions of a person from action names alone, and commands of the window."""

import re
from pathlib import Path

import pygame
import pytest
from viewer_shows import BoardShow, CountingShow

from sim.viewer.app.window import hint_of
from sim.viewer.contract.gesture import Ability
from sim.viewer.keymap import BINDINGS, Command, GameKeys, command, help_lines
from sim.viewer.playback.view import Facts

PONG = ("NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE")
FULL = (
    "NOOP FIRE UP RIGHT LEFT DOWN UPRIGHT UPLEFT DOWNRIGHT DOWNLEFT UPFIRE RIGHTFIRE LEFTFIRE DOWNFIRE "
    "UPRIGHTFIRE UPLEFTFIRE DOWNRIGHTFIRE DOWNLEFTFIRE"
).split()
K = {
    "up": pygame.K_UP, "down": pygame.K_DOWN, "left": pygame.K_LEFT, "right": pygame.K_RIGHT,
    "space": pygame.K_SPACE, "ctrl": pygame.K_LCTRL, "w": pygame.K_w, "a": pygame.K_a, "s": pygame.K_s,
    "d": pygame.K_d, "0": pygame.K_0, "2": pygame.K_2,
}  # fmt: skip


def played(names, keys, last=0):
    return names[GameKeys(names).action({K[key] for key in keys.split()}, last)]


@pytest.mark.parametrize(
    ("names", "keys", "action"),
    [
        (PONG, "", "NOOP"),
        (PONG, "right", "RIGHT"),
        (PONG, "d space", "RIGHTFIRE"),
        (PONG, "a ctrl", "LEFTFIRE"),
        (PONG, "up", "RIGHT"),  # Pong calls up RIGHT: with one axis, both pairs of arrows steer
        (PONG, "s", "LEFT"),
        (FULL, "up", "UP"),
        (FULL, "w right", "UPRIGHT"),
        (FULL, "down left space", "DOWNLEFTFIRE"),
        (("LEFT", "RIGHT"), "right", "RIGHT"),
        (("push left", "no push", "push right"), "d", "push right"),
        (("NOOP", "UP", "DOWN"), "left", "DOWN"),
        (("NOOP", "UP", "RIGHT"), "up right", "UP"),  # no diagonal: the first that uses most
        (("NOOP", "UP", "RIGHT"), "space", "NOOP"),
        (("a", "b", "c"), "2", "c"),
    ],
)
def test_held_keys_mean_an_action(names, keys, action):
    assert played(names, keys) == action


def test_without_an_idle_action_the_last_one_goes_on():
    assert played(("LEFT", "RIGHT"), "", last=1) == "RIGHT"
    assert played(("a", "b", "c"), "", last=1) == "b"


def test_space_belongs_to_the_game_only_if_it_fires():
    assert GameKeys(PONG).owns(pygame.K_SPACE)
    assert not GameKeys(("LEFT", "RIGHT")).owns(pygame.K_SPACE)
    assert not GameKeys(PONG).owns(pygame.K_p)
    assert GameKeys(("a", "b")).owns(pygame.K_1) and not GameKeys(("a", "b")).owns(pygame.K_2)


def test_continuous_worlds_have_no_keys():
    assert not GameKeys(()).playable
    assert GameKeys(()).described() == ""
    assert GameKeys(PONG).described() == "← → or A D move left and right, Space fires"
    assert GameKeys(("NOOP", "UP", "DOWN")).described() == "↑ ↓ or W S move up and down"
    assert GameKeys(FULL).described() == "arrows or W A S D, Space fires"


def test_commands():
    assert command(pygame.K_r) == (Command.RESET, 1)
    assert command(pygame.K_r, shift=True) == (Command.NEW_SEED, 10)
    assert command(pygame.K_4) == (Command.PANEL, 4)
    assert (
        command(pygame.K_9) == (Command.PANEL, 9)
        and command(pygame.K_0) is None
        and command(pygame.K_y) is None
    )
    assert command(pygame.K_F1) == command(pygame.K_h)
    assert all(binding.does and binding.keys for binding in BINDINGS)


def helped(names=(), abilities=(), **now):
    """What the help says now: the keys of each line."""
    return {line.does: line.keys for line in help_lines(GameKeys(names), abilities, **now)}


def test_while_a_person_plays_the_help_names_no_key_that_plays():
    for names in (PONG, FULL):
        played = ("You play with", GameKeys(names).described())
        before, now = helped(names), helped(names, playing=True)
        assert before["Pause, resume"] == "Space  P" and now["Pause, resume"] == "P"
        assert before["Step forward"] == "→  ." and now["Step forward"] == "."
        assert now["Step back"] == "," and now["Ten steps forward, back"] == "Shift+.  Shift+,"
        assert before["Screenshot"] == "S  F12" and now["Screenshot"] == "F12"
        assert played[::-1] in before.items() and played[::-1] in now.items()
        changed = {does for does in before if before[does] != now[does]}
        assert len(before) == len(now) and len(changed) == 4, "nothing else plays"
    steered = helped(("LEFT", "RIGHT"), playing=True)
    assert steered["Pause, resume"] == "Space  P", "where nothing fires, Space pauses"


def test_the_help_offers_a_person_to_play_only_where_one_can():
    line = "Human control, agent control"
    continuous, pong = CountingShow(), CountingShow()
    continuous.action_names, pong.action_names = (), PONG
    assert line not in helped((), Facts.of(continuous).abilities)
    assert helped(PONG, Facts.of(pong).abilities)[line] == "M"
    assert line in helped((), Facts.of(BoardShow()).abilities)
    for ability in (Ability.GALLERY, Ability.EXAMPLES, Ability.ANALYSIS):
        assert line not in helped(PONG, Facts.of(pong, frozenset({ability.value})).abilities)
    assert "M: you play" in hint_of(Facts.of(pong)) and hint_of(Facts.of(continuous)).endswith(
        "H shows all keys"
    )
    assert "M:" not in hint_of(Facts.of(continuous))


def test_digits_that_play_fold_panels_with_shift():
    assert helped(("a", "b", "c"), playing=True)["Fold a panel"] == "Shift+1 … 9"
    assert helped(("a", "b", "c"))["Fold a panel"] == helped(PONG, playing=True)["Fold a panel"] == "1 … 9"


def test_the_help_leaves_keys_to_a_picture_that_asks_for_them():
    board = helped((), {"point"}, asks=("up", "down", "left", "right", "return"))
    assert board["Step forward"] == "." and board["Move a piece"] == "arrows  Enter"
    choice = helped((), {"point"}, asks=("q", "r", "b", "n", "escape"))
    assert "Restart; with a new seed" not in choice and choice["Help, close"] == "H"
    gallery = helped((), {"gallery", "latents"}, asks=("left", "right", "w", "t", "escape"))
    assert gallery["Step forward"] == "." and gallery["Latent-space walk, stop"] == "W"


@pytest.mark.parametrize("names", [PONG, FULL, ("a", "b", "c")])
def test_no_line_of_the_help_while_a_person_plays_has_a_key_of_the_game(names):
    keys = GameKeys(names)
    pressed = {"Space": pygame.K_SPACE, "→": pygame.K_RIGHT, "←": pygame.K_LEFT, "1 … 9": pygame.K_1}
    for does, said in helped(names, {"orbit", "flip", "save", "follow", "scenes"}, playing=True).items():
        for name in said.split("  ") if said != "You play with" else ():
            assert not keys.owns(pressed.get(name) or (ord(name.lower()) if len(name) == 1 else 0)), does


def test_the_readme_lists_the_same_keys():
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    table = re.findall(r"^\| (.+?) \| `(.+?)` \| (.*?) ?\|$", readme, re.M)
    assert table == [(binding.does, binding.keys, binding.mouse) for binding in BINDINGS]
