"""For the researcher: values under the mouse, charts as CSV, jumps to rewards and surprises, loops."""

import csv
from dataclasses import replace

import numpy as np
import pygame
import pytest
from viewer_shows import CountingShow, writing

from sim.records import Decision
from sim.viewer.draw import layout
from sim.viewer.playback.events import events, surprises, td_errors

SHIFT, CONTROL = pygame.KMOD_LSHIFT, pygame.KMOD_LCTRL


pytestmark = pytest.mark.usefixtures("display")


class ValuedShow(CountingShow):
    """The value of moment n is n / 1000, and 0.5 more from moment 64 on."""

    def _moment(self, reward, person, episodes):
        moment = super()._moment(0.0, person, ())
        value = np.array([self._number / 1000 + 0.5 * (self._number >= 64)])
        decision = Decision(np.array([2]), moment.decision.probabilities, value=value)
        length = np.full(1, self._number)  # in one episode
        return replace(moment, decision=decision, reward=np.zeros(1), length=length)


def test_td_errors_are_between_decisions_and_end_with_an_episode():
    value = np.array([0.5, 0.5, 0.5, 0.5, 0.8, 0.8, 0.3, 0.3])
    reward = np.array([0.0, 0.0, 1.0, 0.0, 0.0, -1.0, 0.0, 0.0])
    began = np.zeros(8, bool)
    began[6] = True
    where, delta = td_errors(value, reward, began)
    assert where.tolist() == [4, 6]
    # r₁…r₄ + V₄ − V₀; then r₅ + r₆ − V₄, for what comes after an end is worth 0
    assert delta == pytest.approx([1.0 + 0.8 - 0.5, -1.0 - 0.8])
    assert not len(td_errors(np.full(5, np.nan), np.zeros(5), np.zeros(5, bool))[0])


def test_an_exact_value_never_surprises_and_a_wrong_one_does():
    """Rewards that were expected: V(s) = r + V(s′) holds everywhere, so no error is left."""
    rng = np.random.default_rng(0)
    reward = rng.normal(size=200)
    value = np.cumsum(reward[::-1])[::-1] - reward  # of all that is still to come
    none = np.zeros(200, bool)
    assert np.abs(td_errors(value, reward, none)[1]).max() < 1e-9
    noisy = value + 0.01 * rng.normal(size=200)
    assert not surprises(noisy, reward, none, apart=4)
    noisy[120:] -= 0.8
    ((where, delta),) = surprises(noisy, reward, none, apart=4)
    assert where == 120 and delta == pytest.approx(-0.8, abs=0.1)


def test_a_reward_that_surprises_is_one_event():
    value = np.linspace(0.0, 0.01, 100)
    value[50:] += 0.5
    reward = np.zeros(100)
    reward[[20, 51]] = 1.0, -2.0
    found = events(1000, value, reward, np.zeros(100, bool), apart=4)
    assert [(event.number, event.words) for event in found] == [(1020, "reward +1"), (1051, "reward −2")]


def test_shift_and_an_arrow_jump_between_rewards(drive):
    driver = drive()
    driver.until(lambda: driver.view.newest >= 60)
    driver.press(pygame.K_SPACE)
    driver.settle()
    rewards = [n for n, reward in enumerate(driver.view.reward[:-1]) if reward]
    assert len(rewards) > 4
    for wanted in rewards[:1:-1]:
        driver.press(pygame.K_LEFT, mod=SHIFT)
        assert (driver.view.number, driver.choices.message) == (wanted, "reward +1")
    for _ in range(3):
        driver.press(pygame.K_LEFT, mod=SHIFT)
    assert driver.view.number == rewards[0]
    assert driver.choices.message == "no earlier reward or surprise is remembered"
    driver.press(pygame.K_RIGHT, mod=SHIFT)
    assert driver.view.number == rewards[1]
    driver.press(pygame.K_ESCAPE)
    driver.press(pygame.K_RIGHT, mod=SHIFT)
    assert driver.choices.message == "no later reward or surprise is remembered"


def test_a_jump_from_a_running_show_holds_it_until_the_newest_is_shown_again(drive):
    driver = drive(ValuedShow())
    driver.until(lambda: driver.view.newest >= 100)
    driver.press(pygame.K_LEFT, mod=SHIFT)
    assert driver.view.number == 64 and driver.choices.paused
    assert driver.choices.message == "surprise: TD error +0.501"
    driver.press(pygame.K_ESCAPE)
    assert not driver.choices.paused and driver.viewer.session.cursor is None


def test_a_segment_is_played_again_and_again_at_its_own_rate(drive):
    now = [100.0]
    driver = drive(CountingShow(steps_per_second=50.0), clock=lambda: now[0])
    driver.until(lambda: driver.view.newest >= 30)
    driver.press(pygame.K_SPACE)
    driver.settle()
    newest = driver.view.newest
    driver.viewer.transport.visit(20)
    driver.press(pygame.K_b)
    assert driver.choices.loop == (20, 20) and not driver.viewer.transport.loops
    driver.viewer.transport.visit(10)
    driver.press(pygame.K_b)
    assert driver.choices.loop == (10, 20) and driver.viewer.awake
    seen = []
    for _ in range(25):
        driver.viewer.advance()
        seen.append(driver.view.number)
        now[0] += 0.02 + 1e-9
    assert seen == [10 + i % 11 for i in range(25)]
    driver.press(pygame.K_MINUS)  # half as fast
    driver.viewer.advance()
    before, now[0] = driver.view.number, now[0] + 0.0801
    driver.viewer.advance()
    assert (driver.view.number - before) % 11 == 2
    driver.press(pygame.K_b)
    assert driver.choices.loop is None and driver.view.newest == newest
    now[0] += 1.0
    held = driver.view.number
    driver.viewer.advance()
    assert driver.view.number == held


@pytest.mark.parametrize("key", [pygame.K_SPACE, pygame.K_LEFT, pygame.K_ESCAPE, pygame.K_r])
def test_a_loop_ends_with_whatever_else_moves_through_time(drive, key):
    driver = drive()
    driver.until(lambda: driver.view.newest >= 30)
    driver.viewer.transport.visit(5)
    driver.press(pygame.K_b)
    driver.viewer.transport.visit(9)
    driver.press(pygame.K_b)
    assert driver.viewer.transport.loops
    driver.press(key)
    assert driver.choices.loop is None


def chart_place(driver, number, share):
    rect = driver.viewer.layout().panels[number]
    return rect.left + round(share * rect.width), rect.centery


def test_the_value_under_the_mouse_is_written_over_the_chart(drive, monkeypatch):
    driver = drive(ValuedShow(steps_per_second=20.0))
    driver.until(lambda: driver.view.newest >= 30)
    driver.press(pygame.K_SPACE)
    driver.settle()
    driver.viewer.draw()
    written = writing(monkeypatch)
    driver.post(
        pygame.MOUSEMOTION, pos=chart_place(driver, layout.VALUE, 0.94), rel=(1, 0), buttons=(0, 0, 0)
    )
    driver.viewer.advance()
    driver.viewer.draw()
    (reading,) = [text for text in written if " · −" in text]
    value, seconds = reading.split(" · ")
    age = float(seconds.removesuffix(" s").replace("−", "-"))
    assert float(value) == pytest.approx((driver.view.newest + 20 * age) / 1000, abs=0.006) and -1.5 < age < 0
    driver.post(pygame.MOUSEMOTION, pos=(5, 5), rel=(1, 0), buttons=(0, 0, 0))
    assert driver.choices.hover is None
    written.clear()
    driver.viewer.draw()
    assert reading not in written


def test_charts_are_saved_as_they_are_shown(drive, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    driver = drive(CountingShow(steps_per_second=500.0))
    driver.until(lambda: driver.view.newest >= 40)
    driver.press(pygame.K_SPACE)
    driver.settle()
    driver.press(pygame.K_e, mod=CONTROL)
    assert (
        driver.choices.message.startswith("saved counting-value-") and "and 1 more" in driver.choices.message
    )
    view = driver.view
    value, score = (
        list(csv.reader(next(tmp_path.glob(f"*-{name}-*.csv")).read_text().splitlines()))
        for name in ("value", "return")
    )
    assert value[0] == ["seconds before", "value"] and score[0] == ["seconds", "return"]
    assert [float(y) for _, y in value[1:]] == view.value.tolist()
    assert float(value[-1][0]) == 0 and float(value[-2][0]) == pytest.approx(-1 / 500)
    assert [float(y) for _, y in score[1:]] == view.score.tolist()
    assert float(score[-1][0]) == pytest.approx(view.moment.length[0] / 500) and float(score[1][0]) == 0
    driver.post(
        pygame.MOUSEMOTION, pos=chart_place(driver, layout.RETURN, 0.5), rel=(1, 0), buttons=(0, 0, 0)
    )
    driver.press(pygame.K_e, mod=CONTROL)
    assert "more" not in driver.choices.message and len(list(tmp_path.glob("*.csv"))) == 3
