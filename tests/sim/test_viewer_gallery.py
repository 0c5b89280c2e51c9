"""The gallery in the window: mouse and keys, and drawing that never waits for sampling."""

import threading
import time

import numpy as np
import pygame
import pytest
from tiny_gallery_source import AXES, TinyGallerySource, neighbour_of, pictures_of
from viewer_shows import writing, writings

from sim.viewer.app.screen import Screen
from sim.viewer.app.window import watch
from sim.viewer.contract.gallery_page import Slider
from sim.viewer.contract.gesture import Gesture
from sim.viewer.draw import layout
from sim.viewer.draw.card import ROW
from sim.viewer.draw.theme import TEXT_PAIRS
from sim.viewer.gallery.show import GalleryShow
from sim.viewer.keymap import BINDINGS
from sim.viewer.overlays import gallery_mosaic
from sim.viewer.panels import condition_panel, latent_sliders, panels
from sim.viewer.playback.view import Choices

SIZES = [(480, 360), (640, 480), (1280, 800), (1920, 1080)]


@pytest.fixture
def drive(drive):
    open_viewer = drive

    def start(source, **options):
        driver = open_viewer(GalleryShow(source), seed=7, **options)
        driver.source = source
        if not source.fails and not source.gate:
            driver.until(lambda: len(page(driver).neighbours) == 4 and not page(driver).busy)
        return driver

    return start


def page(driver):
    return driver.view.moment.page


def pictures(driver):
    return np.array(driver.view.moment.pictures)


def places(driver):
    return gallery_mosaic.places_of(driver.viewer.layout().world, driver.viewer.ink, page(driver))


def drag(driver, start, *ends):
    driver.post(pygame.MOUSEBUTTONDOWN, button=1, pos=start)
    for end in ends:
        driver.post(pygame.MOUSEMOTION, pos=end, rel=(0, 0), buttons=(1, 0, 0))
    driver.post(pygame.MOUSEBUTTONUP, button=1, pos=ends[-1])


def inside(driver, number):
    return panels.inside_of(driver.viewer.layout().panels[number], driver.viewer.ink)


# Places


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("picture", [(64, 64), (8, 8), (32, 48)])
def test_pictures_are_as_large_as_the_area_allows_and_do_not_overlap(size, picture):
    area = pygame.Rect((3, 5), size)
    rects = gallery_mosaic.places(area, picture, 24, 8, 18)
    assert len(rects) == 24 and len({rect.size for rect in rects}) == 1
    factor = rects[0].width / picture[0]
    assert factor >= 1 and rects[0].height == pytest.approx(picture[1] * factor, abs=2)
    for i, rect in enumerate(rects):
        assert area.contains(rect) and rect.inflate(15, 15).collidelist(rects[:i]) == -1

    def fits(factor, columns):
        rows = -(-24 // columns)
        wide = columns * (picture[0] * factor + 8) - 8 <= size[0]
        return wide and rows * (picture[1] * factor + 18 + 8) - 8 <= size[1]

    larger = factor / 0.85 if factor == int(factor) else factor + 2 / picture[0]
    assert not any(fits(larger + 1e-6, columns) for columns in range(1, 25))


@pytest.mark.parametrize("size", [(640, 480), (1280, 800), (1920, 1080)])
def test_every_sample_is_drawn_pixel_for_pixel(drive, size):
    driver = drive(TinyGallerySource(), size=size)
    surface = driver.viewer.draw()
    rects = places(driver)
    factor = rects[0].width // 16
    for rect, picture in zip(rects, driver.view.moment.pictures, strict=True):
        seen = pygame.surfarray.array3d(surface.subsurface(rect)).transpose(1, 0, 2)
        np.testing.assert_array_equal(seen, picture.repeat(factor, 0).repeat(factor, 1))
    assert rects[0].width >= 48


@pytest.mark.parametrize("mode", ["samples", "path", "fill"])
def test_all_that_is_written_can_be_read(drive, monkeypatch, mode):
    colors = writings(monkeypatch, lambda text, at, color, rect: color)
    driver = drive(TinyGallerySource(noted=True))
    if mode != "samples":
        driver.viewer.tell(Gesture("join", 0, 3) if mode == "path" else Gesture("key", name="f"))
        driver.until(lambda: page(driver).mode == mode)
    driver.viewer.draw()
    assert set(colors) <= {text for text, _ in TEXT_PAIRS}


# Samples


def test_the_same_seed_gives_the_same_samples_and_another_key_others(drive):
    driver = drive(TinyGallerySource())
    first = pictures(driver)
    driver.press(pygame.K_n)
    driver.until(lambda: ("seed", "8", "") in driver.view.moment.readouts and len(pictures(driver)) == 24)
    assert (pictures(driver) != first).any()
    driver.viewer.tell(Gesture("condition", 0))
    driver.press(pygame.K_r)
    driver.until(
        lambda: ("seed", "7", "") in driver.view.moment.readouts and len(driver.view.moment.pictures) == 24
    )
    np.testing.assert_array_equal(pictures(driver), first)


def test_samples_appear_as_they_come_and_nothing_waits_for_them(drive):
    gate = threading.Semaphore(0)
    driver = drive(TinyGallerySource(gate))
    assert page(driver).busy == "sampling …" and len(driver.view.moment.pictures) == 0
    driver.viewer.draw()
    gate.release()
    driver.until(lambda: page(driver).busy == "sampling … 8 of 24")
    driver.press(pygame.K_RIGHT)
    driver.until(lambda: page(driver).chosen == 1)
    driver.viewer.draw()
    gate.release(2)
    driver.until(lambda: len(driver.view.moment.pictures) == 24 and not page(driver).busy)
    made = [driver.source.asked.count(("make", "anything", 7, first)) for first in (0, 8, 16)]
    assert made == [1, 1, 1]


def test_new_samples_replace_those_still_in_the_making(drive):
    gate = threading.Semaphore(1)
    driver = drive(TinyGallerySource(gate))
    driver.until(lambda: len(driver.view.moment.pictures) == 8)
    driver.press(pygame.K_n)
    driver.until(lambda: len(driver.view.moment.pictures) == 0)
    gate.release(8)
    driver.until(lambda: len(driver.view.moment.pictures) == 24)
    expected = pictures_of(driver.source.latents(24, 8))
    np.testing.assert_array_equal(pictures(driver), expected)


def test_a_wish_is_asked_for_by_key_and_by_mouse(drive):
    driver = drive(TinyGallerySource())
    driver.press(pygame.K_b)
    driver.until(lambda: page(driver).condition == 1)
    driver.press(pygame.K_b, mod=pygame.KMOD_SHIFT)
    driver.until(lambda: page(driver).condition == 0)
    area = inside(driver, layout.CONDITIONS)
    row = list(condition_panel.visible_rows(area, driver.viewer.ink, page(driver))).index(2)
    driver.click((area.centerx, area.top + 22 * row + 11))
    driver.until(lambda: page(driver).condition == 2 and len(driver.view.moment.pictures) == 24)
    assert ("make", "many", 7, 16) in driver.source.asked


# Failures


def test_what_fails_is_shown_and_can_be_tried_again(drive):
    source = TinyGallerySource(fails=["make"])
    driver = drive(source)
    driver.until(lambda: page(driver).trouble == "sampling failed: the paint is dry")
    assert driver.viewer.error is None
    source.fails.clear()
    driver.press(pygame.K_n)
    driver.until(lambda: len(driver.view.moment.pictures) == 24 and not page(driver).trouble)


def test_unattended_a_failure_ends_the_recording_and_reaches_the_caller(tmp_path):
    show = GalleryShow(TinyGallerySource(fails=["fill"]), attended=False)
    with pytest.raises(RuntimeError, match="the paint is dry"):
        watch(show, headless=True, frames=400, size=(480, 360))


def test_what_a_sampler_cannot_do_is_neither_asked_for_nor_in_the_help(drive):
    driver = drive(
        TinyGallerySource(decodes=False, encodes=False, fills=False, traces=False, conditions=("anything",))
    )
    assert not {"w", "j", "f", "d", "b"} & set(driver.view.moment.asks)
    useful = [b.keys for b in BINDINGS if b.useful(driver.viewer.facts.abilities)]
    assert "W" not in useful and "D" not in useful and "N" in useful and "M" not in useful
    assert set(driver.viewer.layout().panels) == {1, layout.NEAREST, layout.SEES}
    rects = places(driver)
    drag(driver, rects[0].center, rects[5].center)
    driver.until(lambda: "they cannot be interpolated" in page(driver).trouble)


def test_keys_that_are_asked_for_are_all_understood(drive):
    driver = drive(TinyGallerySource())
    for name in set(driver.view.moment.asks) - {"w"}:  # a walk, which never settles, has a test of its own
        driver.viewer.tell(Gesture("key", name=name))
        driver.settle()
    assert driver.viewer.error is None


# Choosing, sliding, walking


def test_arrows_and_clicks_choose_and_the_neighbours_follow(drive):
    driver = drive(TinyGallerySource())
    rects = places(driver)
    columns = sum(rect.top == rects[0].top for rect in rects)
    shown = pictures(driver)

    def near():
        return np.array([neighbour.picture for neighbour in page(driver).neighbours])

    def choose(ask, wanted):
        of_it = np.array([neighbour_of(shown[wanted], levels) for levels in (1, 2, 4, 8)])
        ask()
        driver.until(lambda: page(driver).chosen == wanted and np.array_equal(near(), of_it))
        driver.settle()
        assert page(driver).chosen == wanted
        np.testing.assert_array_equal(near(), of_it)

    choose(lambda: driver.press(pygame.K_DOWN, pygame.K_RIGHT), columns + 1)
    choose(lambda: driver.click(rects[17].center), 17)
    choose(lambda: driver.press(pygame.K_UP), 17 - columns)


def test_a_slider_moves_the_chosen_picture_and_no_other(drive):
    driver = drive(TinyGallerySource())
    before = pictures(driver)
    area = inside(driver, layout.SLIDERS)
    track = latent_sliders.track(area, driver.viewer.ink, 2, driver.viewer.ink.px(ROW))
    assert [slider.name for slider in page(driver).sliders] == list(AXES)
    drag(driver, (track.left + 4, track.centery), (track.right + 50, track.centery))
    driver.until(lambda: page(driver).sliders[2].value == pytest.approx(7.0))
    after = pictures(driver)
    assert after[0, 0, 0, 0] == 90 + 40 * 3
    np.testing.assert_array_equal(after[1:], before[1:])
    driver.press(pygame.K_j)
    driver.until(lambda: page(driver).sliders[2].value == pytest.approx(7.0 - 0.04 * 12))
    driver.press(pygame.K_k, pygame.K_l)
    driver.until(lambda: page(driver).slider == 3)
    latent = driver.source.latents(24, 7)[0]
    assert page(driver).sliders[0].value == pytest.approx(2 * latent[0] + 1)


def test_a_quantity_without_a_name_shows_the_pictures_at_its_ends(drive):
    driver = drive(TinyGallerySource(unnamed=True))
    surface, area = driver.viewer.draw(), inside(driver, layout.SLIDERS)
    height = latent_sliders.row_height(driver.viewer.ink, page(driver))
    pictured = pygame.surfarray.array3d(surface.subsurface(area)).transpose(1, 0, 2)
    side = 2 * 16
    for row, slider in enumerate(page(driver).sliders[: area.height // height]):
        top = row * height + (height - side) // 2
        for left, picture in ((0, slider.ends.low), (side + 14, slider.ends.high)):
            seen = pictured[top + 1 : top + side - 1, left + 1 : left + side - 1]
            np.testing.assert_array_equal(seen, picture.repeat(2, 0).repeat(2, 1)[1:-1, 1:-1])
    track = latent_sliders.track(area, driver.viewer.ink, 1, height)
    driver.click((track.right - 1, track.bottom - 2))  # in its lower half: rows are higher than others are
    driver.until(lambda: page(driver).sliders[1].value == pytest.approx(7.0, abs=0.2))


def test_a_value_beyond_the_data_is_told_as_that(drive, monkeypatch):
    written = writing(monkeypatch)
    driver = drive(TinyGallerySource())
    driver.viewer.tell(Gesture("slide", 0, 1e6))
    driver.until(lambda: page(driver).sliders[0].value == pytest.approx(7.0))
    beyond = Slider("ball y", 1553.0, 0.0, 210.0)
    assert latent_sliders.value_in_words(beyond) == "> 210"
    assert latent_sliders.value_in_words(beyond._replace(value=-5590.0)) == "< 0"
    written.clear()
    driver.viewer.draw()
    assert not any(text.startswith((">", "<")) for text in written)


def test_sliding_is_live(drive):
    """A hundred places of a slider, each decoded and drawn, in less than the two seconds of 50 a second."""
    driver = drive(TinyGallerySource())
    begun = time.process_time()
    for i in range(100):
        driver.viewer.tell(Gesture("slide", 0, -3 + i * 0.06))
        driver.until(lambda i=i: page(driver).sliders[0].value == pytest.approx(-3 + i * 0.06))
        driver.viewer.draw()
    assert time.process_time() - begun < 100 / 15


@pytest.mark.parametrize("by", ["mouse", "keys"])
def test_from_one_picture_to_another_and_back(drive, by):
    driver = drive(TinyGallerySource())
    rects, before = places(driver), pictures(driver)
    latents = driver.source.latents(24, 7)
    if by == "mouse":
        drag(driver, rects[0].center, rects[1].center, rects[2].center)
        ends = 0, 2
    else:
        driver.press(pygame.K_RETURN, pygame.K_RIGHT)
        driver.until(lambda: page(driver).chosen == 1 and page(driver).start == 0)
        driver.press(pygame.K_RETURN)
        ends = 0, 1
    driver.until(lambda: page(driver).mode == "path" and len(driver.view.moment.pictures) == 24)
    way = driver.source.between(*latents[list(ends)], 24)
    np.testing.assert_array_equal(pictures(driver), pictures_of(way))
    driver.press(pygame.K_ESCAPE)
    driver.until(lambda: page(driver).mode == "samples")
    np.testing.assert_array_equal(pictures(driver), before)
    driver.until(lambda: len(page(driver).neighbours) == 4)
    assert not driver.viewer.done


def test_a_drag_is_aimed_before_it_ends(drive):
    driver = drive(TinyGallerySource())
    rects = places(driver)
    driver.post(pygame.MOUSEBUTTONDOWN, button=1, pos=rects[3].center)
    driver.post(pygame.MOUSEMOTION, pos=rects[9].center, rel=(0, 0), buttons=(1, 0, 0))
    driver.until(lambda: page(driver).aim == 9)
    driver.post(pygame.MOUSEMOTION, pos=(1, 1), rel=(0, 0), buttons=(1, 0, 0))
    driver.until(lambda: page(driver).aim == -1)
    driver.post(pygame.MOUSEBUTTONUP, button=1, pos=(1, 1))
    driver.settle()
    assert page(driver).mode == "samples" and page(driver).chosen == 3


def test_a_walk_goes_from_sample_to_sample_and_stops(drive):
    driver = drive(TinyGallerySource())
    before, newest = pictures(driver), driver.view.newest
    driver.press(pygame.K_w)
    driver.until(lambda: driver.view.newest >= newest + 4)
    assert (pictures(driver)[0] != before[0]).any()
    np.testing.assert_array_equal(pictures(driver)[1:], before[1:])
    driver.press(pygame.K_w)
    driver.settle()  # which a walk never does
    assert not page(driver).walking


def test_nothing_is_near_to_a_picture_that_walks_until_it_stops(drive, monkeypatch):
    written = writing(monkeypatch)
    driver = drive(TinyGallerySource())
    before, names = driver.view.newest, [slider.name for slider in page(driver).sliders]
    driver.viewer.draw()
    assert "1.0 away" in written and "not computed during a latent walk" not in written
    driver.press(pygame.K_w)
    driver.until(lambda: page(driver).walking and driver.view.newest >= before + 3)
    assert page(driver).neighbours == () and [s.name for s in page(driver).sliders] == names
    written.clear()
    driver.viewer.draw()
    assert "not computed during a latent walk" in written and "1.0 away" not in written
    driver.press(pygame.K_RIGHT)  # another one walks on, and nobody looks around meanwhile
    driver.until(lambda: page(driver).chosen == 1 and not page(driver).busy)
    assert page(driver).neighbours == ()
    driver.press(pygame.K_w)
    driver.until(lambda: not page(driver).walking and len(page(driver).neighbours) == 4)
    near = [neighbour.picture for neighbour in page(driver).neighbours]
    of_it = [neighbour_of(pictures(driver)[1], levels) for levels in (1, 2, 4, 8)]
    np.testing.assert_array_equal(near, of_it)


def test_real_pictures_come_and_go(drive):
    driver = drive(TinyGallerySource())
    before = pictures(driver)
    driver.press(pygame.K_t)
    driver.until(lambda: page(driver).mode == "real" and len(driver.view.moment.pictures) == 24)
    assert page(driver).sliders[0].value == pytest.approx(2 * -1 + 1)
    driver.press(pygame.K_t)
    driver.until(lambda: page(driver).mode == "samples")
    np.testing.assert_array_equal(pictures(driver), before)


def test_denoising_is_remembered_step_by_step(drive):
    driver = drive(TinyGallerySource())
    driver.press(pygame.K_d)
    driver.until(lambda: ("steps", "5", "") in driver.view.moment.readouts and page(driver).mode == "samples")
    made, newest = pictures(driver), driver.view.newest
    np.testing.assert_array_equal(made, pictures_of(driver.source.latents(24, 7)))
    distances = []
    for back in range(1, 5):  # the last step is the newest moment
        driver.press(pygame.K_COMMA)
        driver.until(lambda back=back: driver.view.number == newest - back)
        assert page(driver).mode == "noise"
        distances.append(np.abs(pictures(driver).astype(int) - made).mean())
    assert distances == sorted(distances) and distances[0] > 5 and distances[-1] > 50
    driver.press(pygame.K_n)
    assert "this is the past" not in driver.choices.message  # not asked for there, so not answered
    driver.press(pygame.K_SPACE)
    driver.until(lambda: driver.view.number == driver.view.newest)


# Filling in


@pytest.mark.parametrize("by", ["mouse", "keys"])
def test_what_is_painted_over_is_filled_in(drive, by):
    driver = drive(TinyGallerySource())
    driver.press(pygame.K_f)
    driver.until(lambda: page(driver).mode == "fill")
    rect = places(driver)[0]
    if by == "mouse":
        drag(driver, (rect.left + 3, rect.centery), (rect.right - 3, rect.centery))
    else:
        driver.press(pygame.K_LEFT, pygame.K_RETURN)
    driver.until(lambda: len(driver.view.moment.pictures) == 7)
    mask = page(driver).mask
    assert mask[8].all() if by == "mouse" else 0 < mask.sum() < 12
    filled = pictures(driver)
    np.testing.assert_array_equal(filled[1:, ~mask], np.repeat(filled[:1, ~mask], 6, 0))
    assert (filled[3][mask] == 80).all()
    np.testing.assert_array_equal([a for a in driver.source.asked if a[0] == "fill"][-1][1], mask)
    driver.press(pygame.K_x)
    driver.until(lambda: not page(driver).mask.any() and len(driver.view.moment.pictures) == 1)
    driver.click(driver.viewer.layout().who.center)
    driver.until(lambda: page(driver).mode == "samples")


# The past, recordings


def test_the_past_cannot_be_touched(drive):
    driver = drive(TinyGallerySource())
    driver.press(pygame.K_COMMA)
    driver.until(lambda: driver.view.number < driver.view.newest)
    driver.click(places(driver)[0].center)
    assert "this is the past" in driver.choices.message


def test_unattended_it_goes_through_everything_by_itself_and_alike_each_time(tmp_path):
    modes, stills = set(), []
    for _ in range(2):
        show = GalleryShow(TinyGallerySource(), attended=False)
        moment = show.start(3)
        seen = []
        for _ in range(260):
            modes.add(moment.page.mode)
            seen.append(np.stack(moment.pictures).sum() if moment.pictures else 0)
            moment = show.step(None)
        stills.append(seen)
        show.close()
    assert modes == {"samples", "noise", "path", "fill"} and stills[0] == stills[1]
    assert len(set(stills[0])) > 60


def test_a_recording_has_a_picture_for_every_moment(tmp_path, drawn_views):
    studio = TinyGallerySource()
    show = GalleryShow(studio, attended=False)
    watched = watch(show, headless=True, frames=40, record=tmp_path / "a.mp4", size=(480, 360), seed=0)
    assert watched.frames == 40 and watched.file.stat().st_size > 0 and watched.episodes == 0
    assert [view.number for view in drawn_views] == list(range(40)) and studio.closed == 1


def test_help_names_what_mouse_and_keys_do(drive):
    driver = drive(TinyGallerySource())
    screen = Screen(driver.viewer.facts)
    assert screen.draw((640, 480), Choices(help=True), driver.view) is not None
    for binding in BINDINGS:
        if binding.mouse and binding.useful(driver.viewer.facts.abilities):
            assert binding.keys
