"""Percepts at the size of the picture: split view and its divider, subtitles, likeliest labels, squares."""

from dataclasses import replace

import numpy as np
import pygame
import pytest
from viewer_shows import CountingShow, writings

from sim.records import Percept
from sim.viewer.app.screen import Screen
from sim.viewer.contract.gesture import Ability, Answer
from sim.viewer.contract.moment import PerceptView
from sim.viewer.draw.theme import CLASS_COLORS, PALETTE, Ink, canvas
from sim.viewer.overlays import depth, split_view, subtitles, world_picture
from sim.viewer.panels import perception_panel
from sim.viewer.playback.history import History
from sim.viewer.playback.view import Choices, Facts

BLUE = np.full((40, 40, 3), (20, 60, 200), np.uint8)


def view_of(*seen, rgb=BLUE):
    history = History(10.0)
    history.append(replace(CountingShow().start(0), pictures=(rgb,), seen=seen))
    return history.view()


def drawn(*seen, size=(400, 400), split="off", divider=0.5):
    surface = canvas(size)
    world_picture.draw_world(surface, Ink(), surface.get_rect(), view_of(*seen), split=split, divider=divider)
    return pygame.surfarray.array3d(surface).astype(int)


def depth_view():
    """Depth of a model: 1 m to the left, 4 m to the right; truly 2 m everywhere."""
    told = np.where(np.arange(8) < 4, 1.0, 4.0)[None].repeat(8, 0)
    return PerceptView("depth", Percept("model", depth=told), Percept("truth", depth=np.full((8, 8), 2.0)))


@pytest.fixture
def written(monkeypatch):
    return writings(monkeypatch, lambda text, at, color, rect: (text, color, rect))


def test_a_split_view_has_the_picture_on_the_left_and_the_map_at_its_size_on_the_right(written):
    seen = depth_view()
    scale = depth.span([seen.percept.depth, seen.truth.depth])
    pixels = drawn(seen, split="picture", divider=0.25)
    np.testing.assert_array_equal(pixels[20, 200], (20, 60, 200))
    near, far = (depth.colour_depth(np.full((1, 1), metres), scale)[0, 0] for metres in (1.0, 4.0))
    np.testing.assert_array_equal(pixels[150, 100], near)
    np.testing.assert_array_equal(pixels[380, 300], far)
    assert (pixels[100, 60] == PALETTE.text).all(), "the divider stands where it is put"
    assert {"depth, model", "depth"} <= {text for text, *_ in written}
    truth = drawn(seen, split="truth", divider=0.5)
    same = depth.colour_depth(np.full((1, 1), 2.0), scale)[0, 0]
    np.testing.assert_array_equal(truth[20, 200], same)
    np.testing.assert_array_equal(truth[300, 300], far)
    assert "depth, truth" in {text for text, *_ in written}


def test_a_split_mask_tints_its_side_only_and_the_other_keeps_its_colours():
    mask = np.full((4, 4), 2, np.uint8)
    seen = PerceptView("segmenter", Percept("model", mask=mask), classes=("background", "floor", "leg"))
    pixels = drawn(seen, split="picture")
    np.testing.assert_array_equal(pixels[100, 300], (20, 60, 200))
    grey = pygame.transform.grayscale(pygame.surfarray.make_surface(BLUE)).get_at((0, 0))[0]
    expected = (105 * grey + 150 * np.array(CLASS_COLORS[1])) / 255
    np.testing.assert_allclose(pixels[300, 250], expected, atol=2)
    pending = drawn(replace(seen, pending="looking …"), split="picture")
    np.testing.assert_array_equal(pending[300, 250], (20, 60, 200))


class DepthShow(CountingShow):
    """Sees depth, and may be orbited: a drag of the divider must not turn its camera."""

    abilities = frozenset({Ability.PERCEPTS, Ability.DENSE, Ability.ORBIT, Ability.FEN})
    waits = False
    told = ()

    def touch(self, gesture):
        self.told += (gesture.kind,)
        return Answer()

    def look(self):
        return self._last

    def _moment(self, *args):
        read = PerceptView("reader", Percept("model", fen="8/8/8/8/8/8/8/K1k5"))
        moment = replace(super()._moment(*args), pictures=(BLUE,), seen=(depth_view(), read))
        self._last = moment
        return moment


def drag(hands, start, goal):
    hands.post(pygame.MOUSEBUTTONDOWN, button=1, pos=start)
    hands.post(pygame.MOUSEMOTION, pos=goal, rel=(0, 0), buttons=(1, 0, 0))
    hands.post(pygame.MOUSEBUTTONUP, button=1, pos=goal)


def test_keys_and_the_mouse_split_the_view_and_move_the_divider(drive):
    show = DepthShow(steps_per_second=50.0)
    hands = drive(show)
    hands.until(lambda: hands.view.newest > 2)
    hands.press(pygame.K_o, mod=pygame.KMOD_SHIFT)
    assert hands.choices.split == "picture"
    hands.press(pygame.K_d)
    assert hands.choices.divider == pytest.approx(0.55)
    hands.press(pygame.K_d, mod=pygame.KMOD_SHIFT)
    assert hands.choices.divider == pytest.approx(0.5)
    picture = world_picture.place((40, 40), hands.viewer.layout().world)
    assert split_view.is_on_divider(hands.viewer.ink, picture, 0.5, picture.center)
    assert not split_view.is_on_divider(hands.viewer.ink, picture, 0.5, (picture.left + 40, picture.centery))
    goal = picture.left + picture.width * 3 // 4, picture.top + 5
    drag(hands, picture.center, goal)
    assert hands.choices.divider == pytest.approx(0.75, abs=0.01) and "orbit" not in show.told
    drag(hands, picture.center, goal)
    hands.until(lambda: "orbit" in show.told)
    assert hands.choices.divider == pytest.approx(0.75, abs=0.01), "elsewhere a drag turns the camera"
    hands.press(pygame.K_o, mod=pygame.KMOD_SHIFT)
    assert hands.choices.split == "truth"
    hands.press(pygame.K_o, mod=pygame.KMOD_SHIFT)
    assert hands.choices.split == "off"


def test_where_nothing_is_dense_or_read_the_keys_say_so(drive):
    hands = drive()
    hands.press(pygame.K_o, mod=pygame.KMOD_SHIFT)
    assert "no split view" in hands.choices.message and hands.choices.split == "off"
    hands.press(pygame.K_c, mod=pygame.KMOD_CTRL)
    assert "nothing to copy" in hands.choices.message


def test_ctrl_c_and_a_click_copy_the_fen_that_is_read(drive, monkeypatch):
    copied = []
    monkeypatch.setattr(pygame.scrap, "put_text", copied.append)
    hands = drive(DepthShow(steps_per_second=50.0))
    hands.until(lambda: hands.view.newest > 2)
    hands.press(pygame.K_c, mod=pygame.KMOD_CTRL)
    assert copied == ["8/8/8/8/8/8/8/K1k5"] and hands.choices.message == "copied the FEN"
    hands.viewer.draw()
    hands.click(hands.viewer.subtitles.center)
    assert len(copied) == 2


def test_wrong_words_of_a_caption_are_underlined_and_the_right_ones_beside_them(written):
    said, true = "The ball is low; it stands 1 to 3.", "The ball is high; it stands 1 to 3."
    told = PerceptView("narrator", Percept("model", caption=said), Percept("truth", caption=true))
    marked = replace(told, wrong=((12, 15),), corrected=((12, 16),))
    assert subtitles.marked_words(said, marked.wrong) == {3}
    for seen, lines in ((told, 0), (marked, 1)):
        written.clear()
        surface = canvas((900, 200))
        box = subtitles.draw_subtitles(surface, Ink(), surface.get_rect(), (seen,))
        pixels = pygame.surfarray.array3d(surface)
        wrong, right = (
            (pixels == color).all(2).any(0).sum() for color in (PALETTE.negative, PALETTE.positive)
        )
        assert bool(wrong) == bool(right) == bool(lines) and box.bottom == 200
    words = {text: rect for text, _, rect in written}
    columns = np.flatnonzero((pixels == PALETTE.negative).all(2).any(1))
    assert words["low;"].left <= columns.min() and columns.max() <= words["low;"].right
    assert {"truth:", "high;"} <= set(words)


def test_long_captions_are_cut_after_two_lines():
    surface = canvas((300, 200))
    seen = PerceptView("narrator", Percept("model", caption="word " * 60))
    short = subtitles.draw_subtitles(surface, Ink(), surface.get_rect(), (seen,))
    long = subtitles.draw_subtitles(surface, Ink(), surface.get_rect(), (replace(seen, wrong=((200, 204),)),))
    assert short.size == long.size and short.width <= 300


@pytest.mark.parametrize("width", [120, 340, 700])
def test_a_fen_stays_inside_whatever_the_width(written, width):
    surface = canvas((width, 100))
    seen = PerceptView("reader", Percept("model", fen="rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR"))
    box = subtitles.draw_subtitles(surface, Ink(), surface.get_rect(), (seen,))
    ((text, _, rect),) = written
    assert surface.get_rect().contains(box) and box.contains(rect.inflate(0, -8))
    assert text.endswith("…") == (width == 120)


def test_the_likeliest_labels_have_bars_in_their_proportion_and_the_true_one_a_mark(written):
    likeliest = (("pong", 0.6), ("ms_pacman", 0.3), ("boxing", 0.1))
    percept = Percept("model", label="pong", scores=np.array([0.6]), extras={"likeliest": likeliest})
    names = ("pong", "ms_pacman", "boxing")
    drawn(
        PerceptView("classifier", percept, Percept("truth", label="ms_pacman"), classes=names),
        size=(800, 400),
    )
    texts = [text for text, *_ in written]
    assert texts == [".60", "pong", ".30", "✓ ms pacman", ".10", "boxing"]
    pixels = drawn(PerceptView("classifier", percept, classes=names), size=(800, 400))
    lengths = [int((pixels[:200] == color).all(2).any(1).sum()) for color in CLASS_COLORS[:3]]
    assert lengths == [pytest.approx(share * 140, abs=1) for _, share in likeliest]
    written.clear()
    drawn(
        PerceptView("classifier", percept, Percept("truth", label="freeway"), classes=names), size=(800, 400)
    )
    assert "truth: freeway" in [text for text, *_ in written]


def test_squares_that_are_not_sure_say_how_sure_they_are(written):
    certainty = np.ones(64)
    certainty[[0, 63]] = 0.97, 0.6
    facts = {"white_at_bottom": 1}
    read = Percept("model", fen="q7/8/8/8/8/8/8/7K", extras={"certainty": certainty})
    seen = PerceptView("reader", read, Percept("truth", fen=read.fen, facts=facts), board=(0, 0, 40, 40))
    drawn(seen)
    places = {text: (color, rect) for text, color, rect in written}
    assert set(places) == {".97", ".60"} and places[".60"][0] == PALETTE.accent
    assert places[".97"][1].right <= 50 and places[".60"][1].left >= 350 and places[".60"][1].top >= 345
    assert perception_panel.line(seen).words == "2 pieces · least sure h1 .60"
    sure = replace(seen, percept=replace(read, extras={"certainty": np.ones(64)}))
    assert perception_panel.line(sure).words == "2 pieces · every square ≥ .99"


@pytest.mark.parametrize("size", [(640, 480), (1280, 800)])
def test_the_window_splits_at_every_size(size):
    screen = Screen(Facts.of(DepthShow()))
    plain = pygame.surfarray.array3d(screen.draw(size, Choices(), view_of(depth_view()))).copy()
    split = pygame.surfarray.array3d(screen.draw(size, Choices(split="truth"), view_of(depth_view())))
    world = screen.layout(size, Choices(), view_of(depth_view())).world
    changed = np.argwhere((plain != split).any(2))
    assert len(changed) > world.width * world.height / 5
    assert changed[:, 0].max() < world.right and changed[:, 1].max() < world.bottom
