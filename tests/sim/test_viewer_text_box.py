"""Text box of the window: prompts with unknown words and completions, slider values that are typed."""

import numpy as np
import pygame
import pytest
from tiny_gallery_source import TinyGallerySource
from viewer_shows import CountingShow

from sim.viewer.draw.text_box import draw_text_box
from sim.viewer.draw.theme import PALETTE, Ink, canvas
from sim.viewer.gallery.show import GalleryShow
from sim.viewer.panels import condition_panel, latent_sliders, panels
from sim.viewer.playback.text_box import TextBox

WORDS = ("a", "ball", "bat", "high", "is", "low", "the", ".")
PROMPTS = ("anything", "The ball is high.", "The ball is low.", "A bat is high.")


@pytest.fixture
def seat(drive):
    def start(**can):
        source = TinyGallerySource(conditions=PROMPTS, words=WORDS, **can)
        driver = drive(GalleryShow(source), seed=7)
        driver.source = source
        driver.until(lambda: len(page(driver).neighbours) == 4 and not page(driver).busy)
        return driver

    return start


def page(driver):
    return driver.view.moment.page


def type_in(driver, text):
    for letter in text:
        driver.post(pygame.KEYDOWN, key=ord(letter), mod=0, unicode=letter)
        driver.post(pygame.KEYUP, key=ord(letter), mod=0)


def test_a_typed_prompt_draws_its_own_samples_and_joins_the_list(seat):
    driver = seat(decodes=False, encodes=False)
    driver.press(pygame.K_RETURN)
    type_in(driver, "a ball is low")
    assert driver.choices.box.text == "a ball is low" and not driver.choices.help
    driver.press(pygame.K_RETURN)
    driver.until(lambda: ("make", "a ball is low", 7, 0) in driver.source.asked)
    driver.until(lambda: page(driver).condition == 4)
    assert page(driver).conditions == (*PROMPTS, "a ball is low") and driver.choices.box is None
    driver.press(pygame.K_b)  # after the last one comes the first
    driver.until(lambda: page(driver).condition == 0)


def test_unknown_words_are_underlined_and_not_sent(seat):
    driver = seat(decodes=False, encodes=False)
    driver.press(pygame.K_RETURN)
    type_in(driver, "the green ball")
    calls = len(driver.source.asked)
    driver.press(pygame.K_RETURN)
    assert "green" in driver.choices.box.trouble and len(driver.source.asked) == calls
    driver.press(pygame.K_ESCAPE)
    assert driver.choices.box is None and not driver.viewer.done


def test_tab_takes_the_completion_that_follows_in_the_examples():
    box = TextBox("prompt", "the ball is ", words=WORDS, examples=(*PROMPTS, *PROMPTS[2:3] * 2))
    assert box.completions == ("low", "high"), "the likelier first"
    assert box.completed().text == "the ball is low "
    assert TextBox("prompt", "the b", words=WORDS, examples=PROMPTS).completions == ("ball", "bat")
    assert TextBox("prompt", "xyz", words=WORDS).completions == ()
    assert TextBox("input", "the b").completions == (), "where any word will do there is nothing to complete"


@pytest.mark.parametrize("size", [(256, 160), (640, 420), (1300, 900)])
def test_the_line_is_under_the_unknown_word_alone_and_inside_the_world(size):
    surface, ink = canvas(size), Ink()
    world = surface.get_rect()
    plain = TextBox("prompt", "the ball is high", words=WORDS)
    assert world.contains(draw_text_box(surface, ink, world, plain))
    assert not lit(surface), "nothing is unknown"
    draw_text_box(surface, ink, world, TextBox("prompt", "the ball is green and low", words=WORDS))
    columns = {x for x, _ in lit(surface)}
    rows = sorted({y for _, y in lit(surface)})
    assert ink.width("green and", 16) >= len(columns) >= ink.width("green", 16) - 2 and len(rows) >= 2
    assert world.contains(draw_text_box(surface, ink, world, TextBox("prompt", "the ball is high " * 40)))


def lit(surface):
    return np.argwhere((pygame.surfarray.array3d(surface) == PALETTE.negative).all(-1)).tolist()


def test_a_slider_s_value_is_typed_and_kept_to_its_range(seat):
    driver = seat()
    slider = page(driver).sliders[0]
    driver.press(pygame.K_RETURN, mod=pygame.KMOD_LCTRL)
    assert driver.choices.box.prompt == slider.name
    type_in(driver, "99999")
    driver.press(pygame.K_RETURN)
    assert driver.choices.box.trouble, "beyond the data"
    for _ in range(5):
        driver.press(pygame.K_BACKSPACE)
    wanted = round(slider.low + 0.25 * (slider.high - slider.low), 2)
    type_in(driver, f"{wanted}")
    driver.press(pygame.K_RETURN)
    driver.until(lambda: page(driver).sliders and abs(page(driver).sliders[0].value - wanted) < 0.02)
    assert driver.choices.box is None


def test_the_mouse_opens_both(seat):
    driver = seat()
    ink, layout = driver.viewer.ink, driver.viewer.layout()
    inside = panels.inside_of(layout.panels[2], ink)
    height = latent_sliders.row_height(ink, page(driver))
    line = latent_sliders.track(inside, ink, 1, height)
    driver.click((inside.right - 5, line.centery))
    assert driver.choices.box.prompt == page(driver).sliders[1].name
    driver.press(pygame.K_ESCAPE)
    inside = panels.inside_of(layout.panels[4], ink)
    driver.click(condition_panel.button(inside, ink, page(driver)).center)
    assert driver.choices.box.prompt == "prompt"


def test_a_show_that_takes_no_text_has_no_box(drive):
    driver = drive(CountingShow())
    driver.press(pygame.K_RETURN)
    driver.press(pygame.K_RETURN, mod=pygame.KMOD_LCTRL)
    assert driver.choices.box is None
