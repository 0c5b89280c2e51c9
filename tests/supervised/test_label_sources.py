"""Label sources: labelled images of every family of worlds, and constant baselines."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from sim.catalog import world_config
from sim.chess.diagrams.themes import HELD_OUT, THEMES
from sim.percept_kind import field_of
from sim.percept_kinds import PERCEPT_KINDS
from sim.records import Percept
from sim.walker.world import Walker
from supervised.captions.caption_grammars import parse
from supervised.catalog import LABEL_SOURCES
from supervised.data.capture import CaptureSpec
from supervised.data.dataset import Dataset
from supervised.data.label_sources import NoLabelsError, SeveralLabelSources, label_source
from supervised.metrics.constant_baseline import constant_baseline
from supervised.metrics.grading import grade

#: Each family with all that it tells.
WORLDS = {
    "atari/pong": ("boxes", "label", "caption"),
    "walker/walker2d": ("mask", "depth", "keypoints"),
    "chess": ("boxes", "fen"),
}
TOLD = [(name, kind) for name, kinds in WORLDS.items() for kind in kinds]


def label_source_of(name):
    return label_source(world_config(name, {}))


@cache
def taken(name, kind):
    """Three labelled pictures of a world; read them only."""
    return label_source_of(name).labelled_images(CaptureSpec(kind, 3, seed=3))


def test_every_family_is_checked_here():
    assert {name.partition("/")[0] for name in WORLDS} == set(LABEL_SOURCES)


@pytest.mark.parametrize(("name", "kind"), TOLD)
def test_views_tell_their_kind_and_nothing_else(name, kind):
    views = taken(name, kind)
    assert len(views) == len(views.truths) == len(views.episodes) == 3 and views.values.dtype == np.uint8
    own = PERCEPT_KINDS[kind].fields
    others = {field for about in PERCEPT_KINDS.values() for field in about.fields} - set(own)
    vocabulary = label_source_of(name).vocabulary(kind)
    for truth in views.truths:
        assert getattr(truth, kind) is not None
        assert not any(np.size(field_of(truth, field) or ()) for field in others)
        said = {"keypoints": list(truth.keypoints), "label": [truth.label], "boxes": truth.labels}.get(
            kind, ()
        )
        assert set(said) <= set(vocabulary)
    if kind == "mask":
        assert max(truth.mask.max() for truth in views.truths) < len(vocabulary)


@pytest.mark.parametrize(("name", "kind"), [(name, kinds[0]) for name, kinds in WORLDS.items()])
def test_the_same_seed_takes_the_same_pictures_and_another_one_others(name, kind):
    again, other = (label_source_of(name).labelled_images(CaptureSpec(kind, 3, seed)) for seed in (3, 4))
    views = taken(name, kind)
    assert np.array_equal(again.values, views.values) and not np.array_equal(other.values, views.values)
    for one, same in zip(views.truths, again.truths, strict=True):
        np.testing.assert_equal(getattr(one, kind), getattr(same, kind))


def test_a_kind_that_a_world_does_not_tell_is_refused():
    with pytest.raises(NoLabelsError, match='walker/ant does not know the truth about "fen"'):
        label_source_of("walker/ant").labelled_images(CaptureSpec("fen", 1, 0))
    with pytest.raises(NoLabelsError, match="caption"):
        label_source_of("atari/tennis").vocabulary("caption")  # nobody has written its grammar
    with pytest.raises(NoLabelsError, match="gym/CartPole-v1"):
        label_source_of("gym/CartPole-v1")


def test_captions_vary_in_words_and_are_plain_on_show():
    views = label_source_of("atari/freeway").labelled_images(CaptureSpec("caption", 4, 0))
    assert len({truth.caption for truth in views.truths}) > 1
    assert all(parse(truth.caption)["game"] == "freeway" for truth in views.truths)


def test_held_out_boards_have_colours_of_their_own():
    seen = label_source_of("chess")
    learned, graded = (seen.labelled_images(CaptureSpec("fen", 24, 0, held_out=out)) for out in (False, True))
    assert [truth.fen for truth in learned.truths] == [truth.fen for truth in graded.truths]

    def distance(views, themes):
        """From the picture's commonest colours to the nearest of these themes, in levels of 255."""
        squares = np.array([THEMES[name].dark for name in themes], float)
        middle = np.median(views.values.reshape(len(views), -1, 3), 1)
        return np.abs(middle[:, None] - squares[None]).sum(-1).min(1).mean()

    assert distance(graded, HELD_OUT) < distance(learned, HELD_OUT)


def test_several_worlds_share_the_views_and_join_their_names():
    both = SeveralLabelSources([label_source_of("atari/pong"), label_source_of("atari/freeway")])
    views = both.labelled_images(CaptureSpec("label", 3, 0))
    assert [truth.label for truth in views.truths] == ["pong"] * 2 + ["freeway"]
    assert both.vocabulary("label") == ("pong", "freeway")
    assert set(views.episodes[:2]).isdisjoint(views.episodes[2:])
    words = both.vocabulary("caption")
    assert len(words) == len(set(words)) and {"chicken", "ball"} <= set(words)


@pytest.mark.parametrize(("name", "kind"), TOLD)
def test_kept_views_come_back_as_they_were(name, kind):
    views = taken(name, kind)
    back = Dataset.from_arrays(views.arrays())
    assert np.array_equal(back.values, views.values) and np.array_equal(back.episodes, views.episodes)
    for one, other in zip(back.truths, views.truths, strict=True):
        for field in (*PERCEPT_KINDS[kind].fields, "facts"):
            kept, was = field_of(one, field), field_of(other, field)
            if isinstance(was, np.ndarray):
                assert kept.dtype == was.dtype and np.array_equal(kept, was, equal_nan=was.dtype.kind == "f")
            else:
                assert kept == was


def percepts(**fields):
    rows = [dict(zip(fields, row, strict=True)) for row in zip(*fields.values(), strict=True)]
    return [Percept("truth", **row) for row in rows]


def test_the_usual_boxes_are_the_median_of_each_class():
    boxes = [[0, 0, 4, 4], [2, 2, 6, 6], [10, 10, 14, 14]]
    truths = [Percept("truth", boxes=np.float32([box]), labels=("ball",)) for box in boxes]
    blind = constant_baseline("boxes", [*truths, Percept("truth", boxes=np.zeros((0, 4), np.float32))])
    assert blind.boxes.tolist() == [[2, 2, 6, 6]] and blind.labels == ("ball",)
    assert blind.scores.tolist() == [0.75], "it is in three of four pictures"


def test_what_one_would_tell_without_looking():
    masks = [np.array([[part, 0]], np.uint8) for part in (1, 1, 2)]
    assert constant_baseline("mask", percepts(mask=masks)).mask.tolist() == [[1, 0]]
    depths = [
        np.float32([[near, np.nan, sometimes]]) for near, sometimes in ((1, np.nan), (2, 4), (6, np.nan))
    ]
    assert constant_baseline("depth", percepts(depth=depths)).depth.tolist() == [[2, 3, 4]], (
        "of all there the median is 3"
    )
    points = [{"knee": (float(x), 1.0, visible)} for x, visible in ((0, 1.0), (2, 1.0), (90, 0.0))]
    assert constant_baseline("keypoints", percepts(keypoints=points)).keypoints["knee"] == (1.0, 1.0, 2 / 3)
    assert constant_baseline("fen", percepts(fen=["a", "b", "b"])).fen == "b"
    sentences = ["Ms pacman is low in the centre; 3 lives and 120 points."] * 2
    sentences.append("Near the bottom in the middle runs ms pacman; 120 points and three lives.")
    sentences += ["Ms pacman is high on the left; 3 lives and 0 points."] * 2
    said = constant_baseline("caption", percepts(caption=sentences), parse).caption
    assert parse(said) == parse(sentences[0]), "three of five say so, in different words"
    with pytest.raises(ValueError, match="parser"):
        constant_baseline("caption", percepts(caption=sentences))


def test_the_usual_percept_is_better_than_any_other_of_its_kind():
    truths = label_source_of("walker/hopper").labelled_images(CaptureSpec("mask", 8, 0)).truths
    blind = grade("mask", [constant_baseline("mask", truths)] * 8, truths)["miou"]
    assert all(blind >= grade("mask", [other] * 8, truths)["miou"] - 0.05 for other in truths)


def test_as_watched_a_walker_is_seen_by_its_own_camera_in_its_own_colours():
    seen = label_source_of("walker/walker2d")
    watched, varied = (
        seen.labelled_images(CaptureSpec("keypoints", 2, 3, as_watched=wish)) for wish in (True, False)
    )
    own = Walker("walker2d", width=128, height=128).make(seed=0)
    own.reset()
    shown, truth = own.render(), own.truth(("keypoints",))
    own.close()
    sky = np.s_[:8]  # rows that no walker reaches
    assert all(np.array_equal(rgb[sky], shown[sky]) for rgb in watched.values)
    assert not any(np.array_equal(rgb[sky], shown[sky]) for rgb in varied.values)
    for told in watched.truths[:1]:  # the start of an episode, which differs from another by millimetres
        assert np.allclose(told.keypoints["hip"][:2], truth.keypoints["hip"][:2], atol=1.5)
