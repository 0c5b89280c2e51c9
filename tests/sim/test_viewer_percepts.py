"""Perception overlay and panel: place, colour and text of percepts, and nothing else covered."""

from dataclasses import replace

import numpy as np
import pygame
import pytest
from percept_views import is_color, model, true
from viewer_shows import CountingShow, writings

from sim.atari.truth import classes
from sim.atari.world import Atari, AtariWorld
from sim.percept_kinds import in_words
from sim.records import Percept
from sim.viewer.app.screen import Screen
from sim.viewer.contract.moment import PerceptView, Readout, Role
from sim.viewer.draw import layout
from sim.viewer.draw.theme import CLASS_COLORS, PALETTE, Ink, canvas, class_color
from sim.viewer.overlays import (
    board_overlay,
    boxes,
    depth,
    percept_overlay,
    skeleton,
    subtitles,
    world_picture,
)
from sim.viewer.panels import perception_panel
from sim.viewer.playback.frame_compression import CompressedMoment, size_of
from sim.viewer.playback.history import History
from sim.viewer.playback.view import Choices, Facts

BLACK = np.zeros((40, 32, 3), np.uint8)


def view_of(*seen, rgb=BLACK, **fields):
    history = History(10.0)
    history.append(replace(CountingShow().start(0), pictures=(rgb,), seen=seen, **fields))
    return history.view()


def drawn(*seen, size=(320, 400), area=None, rgb=BLACK):
    """The window's pixels, (width, height, 3), with only the world drawn."""
    surface = canvas(size)
    world_picture.draw_world(surface, Ink(), area or surface.get_rect(), view_of(*seen, rgb=rgb))
    return pygame.surfarray.array3d(surface).astype(int)


@pytest.fixture
def written(monkeypatch):
    """Every text that is written, with its rectangle."""
    return writings(monkeypatch, lambda text, at, color, rect: (text, rect))


def test_a_frame_lies_around_its_pixels_and_the_truth_around_the_frame():
    found = model(("ball", 4, 6, 10, 12))
    pixels = drawn(PerceptView("finder", found, true(found), classes=("ball",)))
    assert not pixels[40:100, 60:120].any()
    assert tuple(pixels[39, 59]) == tuple(pixels[100, 120]) == CLASS_COLORS[0]
    rows = np.flatnonzero(is_color(pixels, PALETTE.text)[:, 90])
    assert rows.tolist() == [40 - 4, 100 + 3]  # line 2, rim 1, dash 1, alike on both sides


def test_the_truth_is_dashed_half_light_and_half_dark():
    wide = model(("wall", 2, 10, 30, 30))
    pixels = drawn(PerceptView("finder", model(), true(wide)))
    line = pixels[:, 100 - 4]
    light, dark = is_color(line, PALETTE.text).sum(), is_color(line, PALETTE.ground).sum()
    assert light == pytest.approx(dark, abs=4) and light + dark == 288


def test_names_cover_neither_each_other_nor_leave_the_picture(written):
    found = model(
        ("one", 2, 10, 8, 16), ("two", 6, 11, 12, 17), ("three", 9, 12, 15, 18), ("four", 0, 0, 40, 50)
    )
    area = pygame.Rect(60, 60, 160, 200)
    pixels = drawn(PerceptView("finder", found), area=area)
    rects = [rect for _, rect in written]
    assert len(rects) >= 2
    for i, rect in enumerate(rects):
        assert rect.collidelist(rects[:i]) == -1
        assert area.left <= rect.left and rect.right <= area.right
    outside = np.ones(pixels.shape[:2], bool)
    outside[area.left : area.right, area.top : area.bottom] = False
    assert not pixels[outside].any()  # boxes larger than the picture


def test_a_name_prefers_to_cover_no_other_frame(written):
    found = model(("ball", 10, 20, 14, 24), ("bat", 8, 14, 16, 19))
    drawn(PerceptView("finder", found))
    (ball,) = [rect for text, rect in written if text == "ball"]
    assert not ball.colliderect(80, 140, 80, 50)


def test_of_a_crowd_only_outlines_are_drawn_and_the_truth_only_where_it_was_missed(written):
    bricks = [("brick", 2 * k, 4, 2 * k + 2, 6) for k in range(boxes.CROWD + 1)]
    truth = true(model(*bricks, ("ball", 20, 30, 22, 32)))
    seen = PerceptView(
        "finder", model(*bricks[1:], ("ball", 20, 30, 22, 32)), truth, classes=("ball", "brick")
    )
    assert boxes.crowded(seen.percept.labels) == set() and boxes.crowded(truth.labels) == {"brick"}
    assert boxes.missed(seen.percept, truth).tolist() == [True] + [False] * (boxes.CROWD + 1)
    pixels = drawn(seen)
    assert [text for text, _ in written] == ["ball"]
    light = is_color(pixels, PALETTE.text)[:, :100]
    assert np.flatnonzero(light.any(axis=1)).max() < 26  # around the first brick and nowhere else
    assert is_color(pixels, CLASS_COLORS[1])[20:260, 40:60].any()


def test_an_empty_or_infinite_perception_is_no_error():
    truth = true(model(("ball", 4, 6, 10, 12)))
    odd = model(("ball", np.nan, 0, 4, 4), ("ball", 0, 0, np.inf, 4))
    assert boxes.missed(model(), truth).all()
    assert (
        drawn(PerceptView("finder", model(), truth)).any() and drawn(PerceptView("finder", odd, truth)).any()
    )
    assert perception_panel.line(PerceptView("finder", model())).words == "nothing detected"


@pytest.mark.parametrize(("white_at_bottom", "corner"), [(1, (0, 0)), (0, (70, 70))])
def test_a_board_marks_only_the_squares_that_are_misread(written, white_at_bottom, corner):
    facts = {"white_at_bottom": white_at_bottom}
    truth = Percept("truth", fen="rn6/8/8/8/8/8/8/4K3", facts=facts)
    read = Percept("model", fen="qn6/8/8/8/8/8/8/4K3")
    seen = PerceptView("reader", read, truth, board=(0, 0, 8, 8))
    pixels = drawn(seen, size=(80, 80), rgb=np.zeros((8, 8, 3), np.uint8))
    assert board_overlay.misread(seen) == {0: "q"} and [text for text, _ in written] == ["q"]
    xs, ys = np.nonzero(is_color(pixels, PALETTE.negative))
    assert (xs.min(), ys.min(), xs.max(), ys.max()) == (*corner, corner[0] + 9, corner[1] + 9)
    assert in_words(seen.percept, seen.classes) == "3 pieces"


def test_what_is_no_board_misreads_no_square():
    truth = Percept("truth", fen="8/8/8/8/8/8/8/8")
    for nonsense in ("", "9/8", "rnbq", "8/8/8/8/8/8/8/8/8"):
        assert board_overlay.misread(PerceptView("reader", Percept("model", fen=nonsense), truth)) == {}


def test_classes_keep_their_colours_and_any_two_of_a_game_differ():
    names = classes("ms_pacman")
    assert class_color("ghost") == class_color("ghost") == class_color("ghost", ("wall",))
    assert class_color("b", ("a", "b")) == CLASS_COLORS[1]
    assert len({class_color(name, names) for name in names}) == len(names)
    many = [str(i) for i in range(20)]
    assert len({class_color(name, many) for name in many}) == 20


def test_a_mask_is_tinted_by_class_over_grey_and_leaves_the_background_alone():
    mask = np.zeros((4, 4), np.uint8)
    mask[:, 2:] = 2
    blue = np.full((40, 40, 3), (20, 60, 200), np.uint8)  # mixed with a class's colour it would be another's
    grey = pygame.transform.grayscale(pygame.surfarray.make_surface(blue)).get_at((0, 0))[0]
    seen = PerceptView("segmenter", Percept("model", mask=mask), classes=("background", "floor", "leg"))
    pixels = drawn(seen, size=(500, 400), rgb=blue)  # the legend stands beside the picture
    expected = (105 * grey + 150 * np.array(CLASS_COLORS[1])) / 255
    np.testing.assert_allclose(pixels[350, 200], expected, atol=2)
    np.testing.assert_array_equal(pixels[150, 200], (grey, grey, grey))
    assert (drawn(replace(seen, pending="looking …"), size=(500, 400), rgb=blue) == (20, 60, 200)).any()
    assert in_words(seen.percept, seen.classes) == "leg"


def test_edges_of_the_true_mask_are_where_its_classes_meet():
    mask = np.zeros((40, 32), np.uint8)
    mask[:, 16:] = 1
    seen = PerceptView("segmenter", Percept("model", mask=mask * 0), Percept("truth", mask=mask))
    light = is_color(drawn(seen), PALETTE.text)
    assert set(np.flatnonzero(light.any(axis=1))) == {160} and light.sum() == 200


def test_equal_ratios_of_depth_are_equal_steps_of_perceived_colour():
    """Oklab's distance is the perceived one: from any depth to the double of it, it is the same."""
    scale = depth.Span(1.0, 16.0, False)
    lab = depth.oklab(depth.colour_depth(np.array([[1.0, 2.0, 4.0, 8.0, 16.0]]), scale)[0])
    steps = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.03)
    assert (np.diff(lab[:, 0]) < 0).all()  # nearer is lighter
    np.testing.assert_allclose(depth.oklab(np.array([255, 255, 255])), [1, 0, 0], atol=1e-3)


def test_the_sky_is_blank_and_a_far_horizon_does_not_flatten_the_rest():
    ground = np.concatenate([np.linspace(2, 10, 990), np.full(10, 400.0)]).reshape(10, 100).repeat(10, 0)
    metres = depth.span([ground])
    assert metres.near == 2.0 and 9.0 < metres.far < 11.0 and metres.more
    sky = depth.colour_depth(np.array([[np.nan, 3.0]]), metres)[0]
    assert tuple(sky[0]) == PALETTE.raised != tuple(sky[1])
    assert depth.span([np.full((3, 3), np.nan)]) is None
    nothing = PerceptView("depth", Percept("model", depth=np.full((3, 3), np.nan, np.float32)))
    assert drawn(nothing).any() and in_words(nothing.percept, nothing.classes) == ""


@pytest.mark.parametrize("size", [(160, 160), (376, 420), (600, 400)])
def test_an_inset_stands_beside_the_picture_or_in_its_corner(size):
    area = pygame.Rect((0, 0), size)
    rect = world_picture.place((160, 160), area)
    seen = PerceptView(
        "depth", Percept("model", depth=np.ones((8, 8))), Percept("truth", depth=np.ones((8, 8)))
    )
    place = percept_overlay.Corners(Ink(), area, rect).take(
        depth.inset_size(Ink(), seen, area, rect), "right"
    )
    if place is None:
        assert size == (160, 160)  # no room at all
    else:
        assert area.contains(place) and (rect.contains(place) or not rect.colliderect(place))


def test_points_are_joined_and_hidden_ones_are_hollow():
    points = {"left hip": (8.0, 10.0, 1.0), "left knee": (24.0, 10.0, 0.2), "lost": (np.nan, 3.0, 1.0)}
    seen = PerceptView(
        "pose", Percept("model", keypoints=points), edges=(("left hip", "left knee"), ("lost", "left hip"))
    )
    pixels = drawn(seen)
    color = skeleton.side_color("left knee")
    assert color != skeleton.side_color("right knee") != skeleton.side_color("head")
    assert tuple(pixels[80, 100]) == tuple(pixels[160, 100]) == color
    assert tuple(pixels[240, 100]) == PALETTE.ground
    assert in_words(seen.percept, seen.classes) == "2 of 3 points"


def test_sentences_and_labels_are_set_beside_what_is_true(written):
    percept = Percept("model", label="breakout", scores=np.array([0.5]), caption="The ball falls.")
    truth = Percept("truth", label="pong", caption="The ball rises.")
    screen = Screen(Facts.of(CountingShow()))
    screen.draw((1280, 800), Choices(), view_of(PerceptView("narrator", percept, truth)))
    texts = [text for text, _ in written]
    assert {"breakout", ".50", "truth: pong", "The ball falls.", "truth: The ball rises."} <= set(texts)
    written.clear()
    screen.draw(
        (1280, 800), Choices(), view_of(PerceptView("narrator", replace(truth, origin="model"), truth))
    )
    assert not any(text.startswith("truth:") for text, _ in written)


def test_a_sentence_stands_under_the_picture_where_that_costs_it_nothing(written):
    rgb = np.zeros((210, 160, 3), np.uint8)
    long = PerceptView("narrator", Percept("model", caption="word " * 60))
    for size in ((640, 480), (1280, 800)):
        screen = Screen(Facts.of(CountingShow()))
        plain = world_picture.place((160, 210), screen.layout(size, Choices(), view_of(rgb=rgb)).world)
        found = screen.layout(size, Choices(), view_of(long, rgb=rgb))
        told = world_picture.place((160, 210), found.world)
        assert told.size == plain.size
        written.clear()
        screen.draw(size, Choices(), view_of(long, rgb=rgb))
        lines = [rect for text, rect in written if text.startswith("word") and rect.top > size[1] // 2]
        lines = [rect for rect in lines if rect.right < found.world.right + 1]
        assert len(lines) == 2 and lines[-1].bottom <= found.bar.top
        assert size == (640, 480) or lines[0].top >= told.bottom


def test_a_line_says_who_what_and_how_far_off():
    found = model(("ball", 0, 0, 2, 2), *[("brick", k, 4, k + 1, 6) for k in range(108)])
    scores = (Readout("ball", 3.04, "px off"), Readout("AP50", 0.971), Readout("lost", float("nan"), "px"))
    line = perception_panel.line(PerceptView("finder", found, None, scores, ("brick", "ball")))
    assert line == ("model", "108 × brick, ball", ("ball 3.0 px off", "AP50 .97", "lost – px"))


@pytest.mark.parametrize("size", [(640, 480), (1280, 800)])
def test_the_panel_shows_at_every_size_and_only_where_something_is_seen(size, written):
    screen = Screen(Facts.of(CountingShow()))
    seen = PerceptView("finder", model(("ball", 4, 6, 10, 12)), scores=(Readout("ball", 3.0, "px off"),))
    assert layout.SEES not in screen.layout(size, Choices(), view_of()).panels
    panel = screen.layout(size, Choices(), view_of(seen)).panels[layout.SEES]
    assert panel.height > layout.TITLE_ROW
    screen.draw(size, Choices(), view_of(seen))
    assert {"finder", "model", "ball 3.0 px off"} <= {text for text, _ in written}
    folded = screen.layout(size, Choices(folded=frozenset({layout.SEES})), view_of(seen))
    assert folded.panels[layout.SEES].height == layout.TITLE_ROW


def test_where_room_is_scarce_perceptions_come_before_read_outs(written):
    seen = [PerceptView(name, Percept("model", label=name)) for name in ("first", "second")]
    readouts = tuple(Readout(f"figure {i}", 1.0) for i in range(4))
    screen = Screen(Facts.of(CountingShow()))
    screen.draw((640, 480), Choices(percepts=False), view_of(*seen, readouts=readouts))
    texts = {text for text, _ in written}
    assert {"first", "second"} <= texts and "figure 3" not in texts


def test_numbers_stand_in_columns_and_words_end_at_the_edge(written):
    """Of a board: "White" over "1" with "ply 0"; of a robot: "1.52" over "312" with their units."""
    screen, size = Screen(Facts.of(CountingShow())), (1280, 800)
    words = (Readout("to move", "White"), Readout("move", "1", "ply 0"), Readout("seed", "0"))
    figures = (Readout("speed", 1.52, "m/s"), Readout("power", 312.0, "W"))
    screen.draw(size, Choices(), view_of(readouts=(*words, *figures)))
    at = dict(written)
    panel = screen.layout(size, Choices(), view_of(readouts=words)).panels[layout.SEES]
    edge = at["White"].right
    assert edge == at["ply 0"].right == at["0"].right == panel.width - 12
    assert at["1"].right < at["ply 0"].left
    assert at["1.52"].right == at["312"].right < at["m/s"].left == at["W"].left < at["m/s"].right <= edge


def test_remembered_maps_count_and_come_back_bit_for_bit():
    rng = np.random.default_rng(0)
    mask, metres = rng.integers(0, 3, (60, 50), dtype=np.uint8), rng.random((60, 50), np.float32)
    seen = (
        PerceptView("a", Percept("model", mask=mask), Percept("truth", mask=mask.T, depth=metres)),
        PerceptView("b", Percept("model", depth=-metres, keypoints={"hip": (1.0, 2.0, 1.0)})),
    )
    whole = replace(CountingShow().start(0), seen=seen)
    packed = CompressedMoment.of(whole)
    assert size_of(whole) == BLACK.nbytes + 2 * mask.nbytes + 2 * metres.nbytes
    assert (
        packed.nbytes < size_of(whole)
        and CompressedMoment.of(whole, whole.pictures, packed).nbytes < packed.nbytes
    )
    again = packed.unpacked()
    np.testing.assert_array_equal(again.pictures[0], whole.pictures[0])
    for one, kept in zip(again.seen, seen, strict=True):
        assert (one.name, one.percept.keypoints) == (kept.name, kept.percept.keypoints)
        for field in ("mask", "depth"):
            np.testing.assert_array_equal(getattr(one.percept, field), getattr(kept.percept, field))
    np.testing.assert_array_equal(again.seen[0].truth.mask, mask.T)
    np.testing.assert_array_equal(again.seen[0].truth.depth, metres)


@pytest.mark.parametrize("game", ["pong", "breakout"])
def test_the_truth_of_a_real_game_leaves_its_pixels_free(game, written):
    """The frames of what is not in a crowd change no pixel of the objects that they mean."""
    world = AtariWorld(Atari(game=game), 0)
    world.reset(seed=0)
    for action in [1] * 40 + [2, 3] * 5:
        world.step(action)
    rgb, truth = world.render(), world.truth()
    pixels = drawn(PerceptView("truth", truth, classes=classes(game)), size=(700, 640), rgb=rgb)
    plain = drawn(size=(700, 640), rgb=rgb)
    crowd = boxes.crowded(truth.labels)
    assert crowd == ({"brick"} if game == "breakout" else set())
    left, factor = (700 - 480) // 2, 3
    compared = 0
    for box, label in zip(truth.boxes.astype(int) * factor, truth.labels, strict=True):
        if label not in crowd:
            x0, y0, x1, y1 = box
            where = np.s_[left + x0 : left + x1, 5 + y0 : 5 + y1]
            compared += 1
            np.testing.assert_array_equal(pixels[where], plain[where])
    assert compared >= 1 and (pixels != plain).any()
    assert {text for text, _ in written} <= set(classes(game)) - crowd
    world.close()


def test_the_age_of_percepts_is_told_from_two_frames_on_and_pending_ones_are_not_drawn(written):
    found = model(("ball", 4, 6, 10, 12))
    for age, told in ((0, False), (1, False), (2, True), (7, True)):
        written.clear()
        drawn(PerceptView("finder", found, age=age), size=(400, 400))
        assert (f"seen {age} frames ago" in [text for text, _ in written]) == told
    pending = PerceptView("finder", Percept("model"), true(found), pending="looking …")
    assert not drawn(pending).any(), "not even the truth"
    assert not subtitles.has_text((replace(pending, truth=Percept("truth", caption="a ball")),))


def test_percepts_that_are_pending_are_compressed_with_their_truths():
    truth = Percept("truth", depth=np.random.default_rng(0).random((40, 32), np.float32))
    moment = view_of(PerceptView("depths", Percept("model"), truth, pending="looking …")).moment
    packed = CompressedMoment.of(replace(moment, perceive=lambda picture, seen: seen))
    assert len(packed.maps) == 1 and packed.moment.seen[0].truth.depth.size == 0
    np.testing.assert_array_equal(packed.unpacked().seen[0].truth.depth, truth.depth)
    assert packed.unpacked().perceive is not None


def test_roles_stand_beside_what_they_move_at_every_size(written):
    roles = (Role("YOU", (4, 6, 8, 14)), Role("OPPONENT", (24, 20, 28, 28)))
    for size in ((320, 400), (1280, 800)):
        written.clear()
        surface = canvas(size)
        rect = world_picture.draw_world(surface, Ink(), surface.get_rect(), view_of(roles=roles))
        factor = rect.width / 32
        for (text, at), (name, box) in zip(written, roles, strict=True):
            middle = rect.left + factor * (box[0] + box[2]) / 2, rect.top + factor * (box[1] + box[3]) / 2
            assert text == name and rect.contains(at)
            assert (
                abs(at.centerx - middle[0]) < 60 + 4 * factor
                and abs(at.centery - middle[1]) < 24 + 6 * factor
            )
