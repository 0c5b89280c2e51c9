"""Human-normalised scores: published random play is 0, the published human 1."""

import pytest

from agents.evaluation.human import SCORES, human_normalized
from sim.atari.world import Atari


def test_it_has_the_57_games_of_the_field_and_each_is_a_world():
    assert len(SCORES) == 57
    assert set(SCORES) <= set(Atari.variants())
    assert all(random < human for random, human in SCORES.values())


@pytest.mark.parametrize("game", sorted(SCORES))
def test_the_random_player_has_0_and_the_human_1(game):
    random, human = SCORES[game]
    assert human_normalized(f"atari/{game}", random) == 0
    assert human_normalized(f"atari/{game}", human) == 1


def test_a_score_by_hand():
    """Breakout, 400 points: (400 − 1.7) / (30.5 − 1.7)."""
    assert human_normalized("atari/breakout", 400.0) == pytest.approx(13.8299, abs=1e-4)
    assert human_normalized("atari/skiing", -30_000.0) == pytest.approx(-1.0110, abs=1e-4)


@pytest.mark.parametrize("world", ["atari/tetris", "gym/CartPole-v1", "chess", "walker/ant", "pong"])
def test_other_worlds_have_no_such_score(world):
    assert human_normalized(world, 1.0) is None
