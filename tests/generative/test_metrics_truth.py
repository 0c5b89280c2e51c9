"""What is true of samples: sentences, boards and poses."""

from __future__ import annotations

import chess
import numpy as np
import pytest

from generative.metrics.truth import board_is_legal, poses_are_possible, seen, sentence_holds, share_true
from sim.catalog import make_worlds
from sim.records import Percept
from sim.walker.poses import pose_faults
from sim.walker.reward import BODIES
from supervised.wording import PONG


class Reader:
    """Reads the ball's place from the first two values of a picture."""

    reads = "rgb"

    def perceive(self, inputs):
        facts = {
            "player y": 100,
            "enemy y": 100,
            "player score": 0,
            "enemy score": 3,
            "ball dx": 1,
            "ball dy": 0,
        }
        return [
            Percept("model", label="pong", facts=facts | {"ball x": int(v.flat[0]), "ball y": int(v.flat[1])})
            for v in inputs
        ]


def test_a_sentence_is_true_of_the_samples_that_show_it():
    said = PONG.parse(
        "The ball flies straight right, low on the left; the left paddle is halfway up "
        "and the right one halfway up; the score is 3 to 0."
    )
    samples = np.zeros((4, 2, 1, 1), np.uint8)
    samples[:, 0, 0, 0] = (10, 10, 150, 30)  # x
    samples[:, 1, 0, 0] = (180, 40, 180, 190)  # y
    rule = sentence_holds(said, lambda percept: PONG.discretise(percept.facts))
    assert seen(Reader(), rule)(samples).tolist() == [True, False, False, True]
    assert share_true(seen(Reader(), [rule] * 4), samples) == 0.5
    part = sentence_holds({"ball side": "left"}, lambda percept: PONG.discretise(percept.facts))
    assert seen(Reader(), part)(samples).tolist() == [True, True, False, True]


def test_what_cannot_be_read_is_not_true():
    rule = sentence_holds({"lane": 3}, lambda percept: PONG.discretise(percept.facts))
    assert not rule(Percept("model"))
    with pytest.raises(ValueError, match="2 rules"):
        seen(Reader(), [rule, rule])(np.zeros((3, 2, 1, 1), np.uint8))
    with pytest.raises(ValueError, match="no examples"):
        share_true(seen(Reader(), rule), np.zeros((0, 2, 1, 1), np.uint8))


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
    assert share_true(poses_are_possible(body), played) >= 0.95
    wild = played + 2.0 * generator.standard_normal(played.shape)
    assert share_true(poses_are_possible(body), wild) < 0.5


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
