"""Correctness of samples: captions, boards and poses."""

from __future__ import annotations

import chess
import numpy as np
import pytest

from generative.metrics.truth import board_is_legal, captions_agree
from sim.catalog import make_worlds
from sim.records import Percept
from sim.walker.poses import pose_faults
from sim.walker.reward import BODIES

STATE = "; the left paddle is halfway up and the right one {}; the score is {} to 0."


@pytest.mark.parametrize(
    ("told", "same"),
    [
        ("The ball is low on the left" + STATE.format("low", 3), True),
        ("Near the bottom to the left is the ball" + STATE.format("near the bottom", 3), True),
        ("The ball is high on the left" + STATE.format("low", 3), False),
        ("There is no ball" + STATE.format("low", 3), False),
        ("The ball is low on the left" + STATE.format("low", 13), False),
        ("Ms pacman is low in the centre; 3 lives and 120 points.", False),
        ("Nobody says this.", None),
    ],
)
def test_a_sentence_is_true_of_what_tells_the_same_of_one_picture(told, same):
    asked = "The ball flies straight right, low on the left" + STATE.format("low", 3)
    assert captions_agree(asked, told) is same


@pytest.mark.parametrize(
    ("fen", "legal"),
    [
        (chess.STARTING_BOARD_FEN, True),
        ("8/8/8/8/8/8/8/k1K5", True),
        ("8/8/8/8/8/8/8/kK6", False),  # the kings touch
        ("8/8/8/8/8/8/8/2K5", False),  # no black king
        ("8/8/8/8/8/8/8/k1K4P", False),  # a pawn on the first rank
        ("k6R/8/1K6/8/8/8/8/8", True),  # check, with Black to move
        ("k6R/8/8/8/8/8/8/K6r", False),  # both in check
        ("nonsense", False),
        (None, False),
    ],
)
def test_boards_that_can_stand_in_a_game(fen, legal):
    assert board_is_legal(Percept("model", fen=fen)) is legal


def possible(body, poses):
    return np.mean([not fault for fault in pose_faults(body, poses)])


@pytest.mark.parametrize("body", BODIES)
def test_play_takes_possible_poses_and_noise_does_not(body):
    worlds = make_worlds(f"walker/{body}", num_envs=4, seed=0)
    worlds.reset()
    generator, poses = np.random.default_rng(0), []
    space = worlds.single_action_space
    for _ in range(60):
        worlds.step(generator.uniform(space.low, space.high, (4, *space.shape)).astype(np.float32))
        poses.append(worlds.walkers.simulation.qpos.copy())
    worlds.close()
    played = np.concatenate(poses)
    assert possible(body, played) >= 0.95
    wild = played + 2.0 * generator.standard_normal(played.shape)
    assert possible(body, wild) < 0.5


def test_faults_of_poses_are_told():
    upright = np.array([0, 1.25, 0, 0, 0, 0, 0, 0, 0.0])
    bent, broken = upright.copy(), upright.copy()
    bent[3], broken[5] = 1.0, np.nan
    assert pose_faults("walker2d", np.stack([upright, bent, broken])) == [
        "",
        "thigh joint is bent to 1.00, its range is -2.62 … 0.00 rad",
        "a position is not finite",
    ]
    with pytest.raises(ValueError, match=r"\(N, 9\)"):
        pose_faults("walker2d", np.zeros((1, 8)))
    with pytest.raises(ValueError, match="body must be"):
        pose_faults("horse", np.zeros((1, 8)))
