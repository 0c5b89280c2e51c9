"""Held-out splits: by episode, about the share, independent of the number of examples."""

from __future__ import annotations

import numpy as np
import pytest

from supervised.data.columns import ArrayColumn, LabelColumn, groups_apart
from supervised.data.dataset import Dataset, concatenate
from supervised.data.split import HASHED, RULES, SHUFFLED, held_out_episodes


def data(lengths, name="a"):
    """One class whose episode i has `lengths[i]` examples."""
    episodes = np.repeat(np.arange(len(lengths)), lengths)
    values = np.stack([episodes, np.arange(len(episodes))], 1).astype(np.float32)
    labels = LabelColumn(np.zeros(len(episodes), np.int64), (name,))
    return Dataset(values=ArrayColumn(values, ("episode", "at")), labels=labels, episodes=episodes)


def held(dataset, rule=HASHED, seed=0, share=0.1):
    return held_out_episodes(dataset.episodes, dataset.labels, share, seed=seed, rule=rule)


def test_more_or_fewer_examples_move_no_other_episode_across():
    whole = data([7] * 200)
    for count in (140, 141, 300, 1_000, 1_399):
        part = whole.take(np.arange(count))
        assert held(part) == held(whole) & set(part.episodes.tolist())
    assert held(data([7, 3, 12] * 66 + [1, 1])) == held(whole), "nor do longer or shorter ones"
    by_the_old_rule = held(whole, SHUFFLED), held(whole.take(np.arange(1_393)), SHUFFLED)
    assert len(by_the_old_rule[0] & by_the_old_rule[1]) < 10, "one episode fewer has moved most of them"


def test_nor_does_an_episode_more_of_another_class_or_of_another_player():
    def side(pong, breakout):
        both = concatenate([data([5] * pong, "pong"), data([5] * breakout, "breakout")])
        _, validation = both.parted(0.1)
        return validation.values[validation.labels == 1, 0].tolist()

    assert side(40, 60) == side(41, 60) == side(47, 60) != []
    assert groups_apart([np.arange(3), np.arange(4)])[3:].tolist() == [1_000_000 + i for i in range(4)]
    deep = groups_apart([np.arange(2), groups_apart([np.arange(2), np.arange(2)])])
    assert len(set(deep.tolist())) == 6 and (np.diff(deep) > 0).all()


def test_about_the_share_is_held_out_whatever_the_seed_and_other_episodes_by_another():
    whole = data([1] * 400)
    for share in (0.1, 0.2, 0.5):
        for seed in range(5):
            assert abs(len(held(whole, seed=seed, share=share)) / 400 - share) < 0.01
    chosen = [held(whole, seed=seed) for seed in range(20)]
    assert len(set().union(*chosen)) > 300
    assert len({episode % 2 for episode in chosen[0]}) == 2, "every other world may have another player"


def test_the_draw_is_the_same_on_every_machine_and_for_ever():
    assert sorted(held(data([1] * 60))) == EXPECTED


EXPECTED = [6, 14, 23, 39, 43, 53]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(6))
def test_a_class_with_two_episodes_is_on_both_sides_and_one_with_one_is_learned_from(rule, seed):
    parts = [data([4] * n, name) for n, name in ((2, "two"), (3, "three"), (1, "one"), (30, "many"))]
    train, validation = concatenate(parts).parted(0.1, seed, rule)
    assert set(train.labels.tolist()) == {0, 1, 2, 3}
    assert set(validation.labels.tolist()) == {0, 1, 3}
    assert not set(train.episodes.tolist()) & set(validation.episodes.tolist())
    assert len(train) + len(validation) == 4 * 36


def test_episodes_that_several_classes_share_are_held_out_whole_and_no_more_of_them():
    labels = np.arange(1_000) % 10
    episodes = np.arange(1_000) * 50 // 1_000
    found = held_out_episodes(episodes, labels, 0.1, seed=0, rule=HASHED)
    assert len(found) == 5


def test_the_shuffled_rule_is_what_older_checkpoints_learned_by():
    whole = data([1, 2, 3] * 10)
    assert sorted(held(whole, SHUFFLED, seed=3)) == OLD


OLD = [20, 26]


def test_an_unknown_rule_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match='no split rule "by frame"; there are hashed episodes, shuffled'):
        held(data([1, 1]), "by frame")
