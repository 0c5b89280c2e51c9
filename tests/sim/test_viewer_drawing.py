"""Drawing of the window: contrast, layout, and pixels that show the values."""

import numpy as np
import pygame
import pytest
from viewer_shows import CountingShow, writing, writings

from sim.records import Decision
from sim.viewer.app.screen import Screen
from sim.viewer.contract.gesture import Ability
from sim.viewer.contract.moment import Moment
from sim.viewer.draw import charts, hud, layout
from sim.viewer.draw.layout import Need, arrange
from sim.viewer.draw.theme import PALETTE, TEXT_PAIRS, Ink, canvas, contrast
from sim.viewer.keymap import GameKeys, help_lines
from sim.viewer.overlays import world_picture
from sim.viewer.panels import panels
from sim.viewer.panels.actions import chosen_action
from sim.viewer.playback.history import FEWEST_MOMENTS, History
from sim.viewer.playback.view import Choices, Facts

SIZES = [(480, 360), (640, 480), (960, 600), (1280, 800), (1920, 1080)]


def history_of(show, steps):
    history = History(show.steps_per_second)
    history.append(show.start(0))
    for _ in range(steps):
        history.append(show.step(None))
    return history


BLACK = np.zeros((40, 32, 3), np.uint8)


def moment(decision, pictures=(BLACK,), **fields):
    one = np.zeros(1)
    return Moment(pictures, one, one, one.astype(int), decision, **fields)


def view_of(*moments):
    history = History(10.0)
    for each in moments:
        history.append(each)
    return history.view()


def facts(**changes):
    show = CountingShow()
    for name, value in changes.items():
        setattr(show, name, value)
    return Facts.of(show)


def test_contrast_is_that_of_wcag():
    assert contrast((255, 255, 255), (0, 0, 0)) == pytest.approx(21)
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("pair", TEXT_PAIRS)
def test_text_can_be_read(pair):
    assert contrast(*pair) >= 4.5


def test_every_text_is_drawn_in_a_pair_that_is_tested(monkeypatch):
    """No module writes in a colour that TEXT_PAIRS does not know."""
    colors = writings(monkeypatch, lambda text, at, color, rect: color)
    history = history_of(CountingShow(num_worlds=4), 120)
    screen = Screen(Facts.of(CountingShow(num_worlds=4)))
    for choices in (Choices(), Choices(grid=True, person=True, paused=True, help=True, message="hello")):
        screen.draw((1280, 800), choices, history.view(error="ValueError: no"))
    assert set(colors) <= {text for text, _ in TEXT_PAIRS}
    assert PALETTE.on_accent in colors


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("folded", [frozenset(), frozenset({2}), frozenset({1, 2, 3, 4, 5, 6})])
@pytest.mark.parametrize("num_actions", [0, 2, 6, 18, 4672])
def test_nothing_overlaps(size, folded, num_actions):
    shown = facts(action_names=tuple(str(i) for i in range(num_actions)))
    need = panels.needs(shown, view_of()) | {layout.SEES: Need(62, 106, 106)}
    for scale, presents in ((1.0, False), (1.5, True), (1.0, True), (2.0, False)):
        scaled = (round(size[0] * scale), round(size[1] * scale))
        pieces = arrange(scaled, scale, need, folded, layout.TOOLS, presents=presents).pieces
        window = pygame.Rect((0, 0), scaled)
        for name, rect in pieces.items():
            assert window.contains(rect) and rect.width > 0 and rect.height > 0, name
            for other, other_rect in pieces.items():
                assert other == name or not rect.colliderect(other_rect), (name, other)


def test_panels_stay_at_640_by_480_and_all_show_at_1280_by_800():
    need = panels.needs(facts(), view_of())
    assert set(arrange((640, 480), 1, need).panels) >= {1, 2, 3, 4}
    assert set(arrange((1280, 800), 1, need).panels) == {1, 2, 3, 4, 6}
    atari = world_picture.place((160, 210), arrange((640, 480), 1, need).world)
    assert atari.size == (320, 420)


def test_a_folded_panel_is_its_title_and_gives_its_room_away():
    need = panels.needs(facts(), view_of())
    before, after = arrange((1280, 800), 1, need).panels, arrange((1280, 800), 1, need, {3}).panels
    assert after[3].height == layout.TITLE_ROW
    assert after[6].height > before[6].height or after[4].height > before[4].height


@pytest.mark.parametrize("size", [(640, 480), (1280, 800), (1920, 1080)])
def test_the_world_is_pixel_exact_at_a_whole_factor(size):
    rgb = np.random.default_rng(0).integers(0, 256, (210, 160, 3), dtype=np.uint8)
    view = view_of(moment(None, (rgb,)))
    screen = Screen(facts())
    surface = screen.draw(size, Choices(), view)
    rect = world_picture.place((160, 210), screen.layout(size, Choices(), view).world)
    factor = rect.width // 160
    assert factor >= 2 and rect.size == (160 * factor, 210 * factor)
    drawn = pygame.surfarray.array3d(surface.subsurface(rect)).transpose(1, 0, 2)
    np.testing.assert_array_equal(drawn, rgb.repeat(factor, 0).repeat(factor, 1))


def test_a_large_world_is_shrunk_whole():
    assert world_picture.place((1200, 600), pygame.Rect(0, 0, 600, 600)) == pygame.Rect(0, 150, 600, 300)


def _bar_lengths(names, decision):
    """Pixels of bar in each row of the actions panel: (chosen colour, other colour)."""
    card = canvas((400, layout.TITLE_ROW + 22 * len(names) + 10))
    shown = facts(action_names=names)
    panels.draw_panel(layout.ACTIONS, card, Ink(), shown, Choices(), view_of(moment(decision)))
    rgb = pygame.surfarray.array3d(card)
    lengths = []
    for row in range(len(names)):
        line = rgb[:, layout.TITLE_ROW + 22 * row + 11]
        chosen = (line == PALETTE.accent).all(axis=1).sum()
        lengths.append((int(chosen), int((line == PALETTE.series[0]).all(axis=1).sum())))
    return lengths


def test_bars_are_as_long_as_probabilities():
    probabilities = np.array([[0.5, 0.25, 0.2, 0.05]])
    lengths = _bar_lengths(("NOOP", "FIRE", "RIGHT", "LEFT"), Decision(np.array([2]), probabilities))
    assert [accent > 0 for accent, _ in lengths] == [False, False, True, False]
    pixels = np.array([accent + other for accent, other in lengths])
    full = pixels[0] / 0.5
    assert full > 200
    np.testing.assert_allclose(pixels, full * probabilities[0], atol=1)


def test_bars_of_q_values_keep_their_order():
    q_values = np.array([[3.1, 3.4, 3.2]])
    pixels = [sum(pair) for pair in _bar_lengths(("A", "B", "C"), Decision(np.array([1]), q_values=q_values))]
    assert 0 < pixels[0] < pixels[2] < pixels[1]


@pytest.mark.parametrize("q_values", [(2.0, 3.0, 1.0), (-2.0, 1.0, -1.0), (-1.0, -3.0, -2.0)])
def test_bars_of_q_values_begin_at_zero_and_have_the_advantage_beside(monkeypatch, q_values):
    written = writing(monkeypatch)
    decision = Decision(np.array([int(np.argmax(q_values))]), q_values=np.array([q_values]))
    pixels = [sum(pair) for pair in _bar_lengths(("A", "B", "C"), decision)]
    assert np.array(pixels) / max(pixels) == pytest.approx(
        np.abs(q_values) / np.abs(q_values).max(), abs=0.02
    )
    advantages = [f"{q - max(q_values):.2f}".replace("-", "−") for q in q_values]
    assert [text for text in written if text in advantages] == advantages


def test_how_an_action_was_chosen_is_told_of_an_agent_only(monkeypatch):
    written = writing(monkeypatch)
    decision = Decision(np.array([2]), np.full((1, 4), 0.25))
    for person in (False, True):
        played = moment(decision, actions=np.array([1]), person=person, selection="sampled from the policy")
        written.clear()
        panels.draw_panel(layout.ACTIONS, canvas((400, 160)), Ink(), facts(), Choices(), view_of(played))
        assert ("probability · sampled from the policy" in written) != person


def test_continuous_actions_grow_from_the_middle():
    card = canvas((400, 120))
    decision = Decision(np.array([[-1.0, 0.5]], np.float32))
    panels.draw_panel(
        layout.ACTIONS, card, Ink(), facts(action_names=()), Choices(), view_of(moment(decision))
    )
    rgb = pygame.surfarray.array3d(card)
    lit = [(rgb[:, layout.TITLE_ROW + 22 * row + 11] == PALETTE.accent).all(axis=1) for row in (0, 1)]
    assert lit[0].sum() == pytest.approx(2 * lit[1].sum(), abs=2)
    assert np.flatnonzero(lit[0]).max() <= np.flatnonzero(lit[1]).min() + 1


def test_a_person_lights_the_action_that_was_played():
    decision = Decision(np.array([2]), np.full((1, 4), 0.25))
    view = view_of(moment(decision, actions=np.array([1]), person=True))
    assert chosen_action(view) == 1
    assert chosen_action(view_of(moment(decision, actions=np.array([1])))) == 2


def test_all_panels_show_in_a_headless_recording():
    need = panels.needs(facts(action_names=tuple("abcdef")), view_of())
    shown = arrange((960, 600), 1, need).panels
    assert set(shown) == {1, 2, 3, 4, 6}
    assert all(rect.height > layout.TITLE_ROW for rect in shown.values())


def test_drawing_depends_on_nothing_but_its_arguments():
    history = history_of(CountingShow(), 130)
    used = Screen(facts())
    for number in (20, 90, 130, 60):
        used.draw((960, 600), Choices(help=number == 90), history.view(number))
    fresh = Screen(facts()).draw((960, 600), Choices(), history.view(60))
    again = used.draw((960, 600), Choices(), history.view(60))
    np.testing.assert_array_equal(pygame.surfarray.array2d(fresh), pygame.surfarray.array2d(again))


def test_empty_and_error_states_show_different_pictures_at_every_size():
    for size in SIZES:
        screen = Screen(facts())
        empty = pygame.surfarray.array2d(screen.draw(size, Choices(), History(10.0).view()))
        error = pygame.surfarray.array2d(
            screen.draw(size, Choices(), History(10.0).view(error="ValueError: " + "long " * 80))
        )
        assert len(np.unique(empty)) > 10
        assert (empty != error).any()


@pytest.mark.parametrize("size", [(480, 360), (640, 480), (1920, 1080)])
def test_the_cards_of_help_and_error_lie_inside(size):
    surface = canvas(size)
    lines = help_lines(GameKeys(CountingShow.action_names), {offer.value for offer in Ability})
    assert surface.get_rect().contains(hud.draw_help(surface, Ink(), lines))
    world = arrange(size, 1, panels.needs(facts(), view_of())).world
    assert world.contains(hud.draw_error(surface, Ink(), world, "RuntimeError: " + "bad news " * 60))


def test_the_track_and_its_inverse_agree():
    view = history_of(CountingShow(), 500).view(300)
    track = pygame.Rect(100, 0, 2000, 30)
    for number in (0, 1, 250, 499, 500):
        assert hud.number_at(track, hud.x_of(track, number, view), view) == number
    assert hud.number_at(track, track.left, view) == 0


def test_a_grid_shows_every_world_apart():
    surface = canvas((700, 500))
    pictures = tuple(np.full((21, 16, 3), 40 * (i + 1), np.uint8) for i in range(5))
    numbers = np.zeros(5)
    view = view_of(Moment(pictures, numbers, numbers, numbers.astype(int)))
    rects = world_picture.draw_grid(surface, Ink(), surface.get_rect(), view)
    for i, rect in enumerate(rects):
        assert surface.get_rect().contains(rect)
        assert surface.get_at(rect.center)[:3] == (40 * (i + 1),) * 3
        assert rect.collidelist(rects[:i]) == -1
    assert len(rects) == 5


def test_history_forgets_only_what_it_must():
    history = history_of(CountingShow(), 2000)
    view = history.view(0)
    assert (view.oldest, view.newest, view.number) == (1101, 2000, 1101)
    assert view.newest - view.oldest + 1 >= FEWEST_MOMENTS
    assert view.moment.pictures[0][0, 0, 0] == 1101 % 256
    assert history.returns(100) == [5.0, 5.0]
    assert view.episodes_ended == 1101 // 50 and view.mean_score == 5.0


def test_pictures_that_would_fill_the_memory_are_kept_without_loss():
    history = History(10.0, memory=700 * 10_000)
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (100, 100, 3), dtype=np.uint8) for _ in range(3)]
    for i in range(900):
        history.append(moment(None, (noise[i % 3],)))
    view = history.view(0)
    assert view.newest - view.oldest + 1 == FEWEST_MOMENTS  # noise cannot be packed
    np.testing.assert_array_equal(view.moment.pictures[0], noise[view.oldest % 3])


def test_ticks_are_round_and_thinning_keeps_peaks():
    assert charts.ticks(-21, 3) == [-20.0, -10.0, 0.0]
    assert charts.ticks(0.02, 0.97) == [0.5]
    assert charts.tick_texts([-0.5, 0.0]) == ["−0.5", "0.0"]
    values = np.zeros(10_000)
    values[7_777] = 9.0
    where, thin = charts.downsample_extrema(values, 100)
    assert len(thin) <= 200 and thin.max() == 9.0
    assert where[thin.argmax()] == pytest.approx(0.7777, abs=0.01)


@pytest.mark.parametrize("height", [34, 40, 60, 120])
def test_the_labels_of_a_value_axis_never_overlap(height, monkeypatch):
    written = writings(monkeypatch, lambda text, at, color, rect: at[1])
    surface = canvas((300, 200))
    charts.line_chart(
        surface, Ink(1.0), pygame.Rect(0, 0, 300, height), np.array([0.0, 8.0]),
        color=PALETTE.text, filled=1.0, labels=("start", "now"),
    )  # fmt: skip
    marks = sorted(written[:-2])
    assert marks and all(below - above >= 14 for above, below in zip(marks, marks[1:], strict=False))
