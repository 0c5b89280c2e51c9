"""The gallery's page in a real browser: Debian's chromium, headless, with no network."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from generative.gallery import Clip, GalleryContent, Grades, SampleEntry, Strip, write_gallery

CHROMIUM = shutil.which("chromium")
PATIENCE = 120_000  # ms, for busy machines
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="python -m pip install playwright")
    with playwright.sync_playwright() as engine:
        started = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE)
        yield started
        started.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    pictures = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), np.uint8)
    gallery = GalleryContent(
        title="Dreams",
        about="a sampler",
        samples=tuple(
            SampleEntry(pictures[i], 7, f"label {i}", pictures[-1 - i], f"0.{i}", "pong", i % 2 == 0)
            for i in range(20)
        ),
        metrics={"rmse": 3.5, "images_per_second": 80.0},
        columns={"nearest real filling": {"rmse": 12.0}},
        checkpoint=Grades({"frechet": 41.5}, {"frechet": [36.01, 47.5]}, 500, {"encoder": "trained " * 20}),
        strips=(
            Strip("between", pictures[:20].reshape(1, 20, 16, 16, 3), "Between", "From one to another."),
        ),
        clips=(Clip("denoising", pictures[:8], "Denoising", "From noise.", 10),),
    )
    return write_gallery(tmp_path_factory.mktemp("gallery"), gallery)[0].as_uri()


@pytest.fixture
def page(browser, address):
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(PATIENCE)
    opened.troubles = []
    opened.on("console", lambda message: opened.troubles.append(message.text))
    opened.on("pageerror", lambda error: opened.troubles.append(str(error)))
    opened.requests = []
    opened.on("request", lambda request: opened.requests.append(request.url))
    opened.goto(address)
    yield opened
    opened.close()


def facts(page):
    names, values = page.locator("#facts dt").all_inner_texts(), page.locator("#facts dd").all_inner_texts()
    return dict(zip(names, values, strict=True))


def test_it_opens_without_a_word_of_complaint_and_without_a_network(page):
    assert page.title() == "Dreams – Playfield gallery"
    page.wait_for_function("document.querySelector('video').readyState >= 1")
    assert page.troubles == []
    assert {url.partition(":")[0] for url in page.requests} <= {"file", "data"}


def test_arrow_keys_choose_and_the_choice_is_told(page):
    options = page.locator("[role=option]")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "sample-1"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.id") == "sample-2"
    assert options.nth(1).get_attribute("aria-selected") == "true"
    assert page.locator("[aria-selected=true]").count() == 1
    assert facts(page)["condition"] == "label 1" and facts(page)["correct"] == "no"
    assert page.locator("#nearest").get_attribute("src") == options.nth(1).get_attribute("data-nearest")
    page.keyboard.press("ArrowDown")
    below = int(page.evaluate("document.activeElement.id").removeprefix("sample-"))
    above, under = options.nth(1).bounding_box(), options.nth(below - 1).bounding_box()
    assert under["x"] == above["x"] and under["y"] > above["y"]
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.id") == "sample-20"
    page.keyboard.press("Home")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.id") == "sample-1"


def test_a_click_chooses(page):
    page.locator("#sample-7").click()
    assert facts(page)["sample"] == "7"


def test_the_focus_can_be_seen(page):
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outline")
    assert "rgb(230, 159, 0)" in outline and "3px" in outline


def test_a_screen_reader_is_told_everything(page):
    told = page.locator("#samples").aria_snapshot()
    assert 'listbox "20 samples"' in told
    said = "seed 7, condition label 2, nearest training example 0.2, decoded truth pong, correct yes"
    assert f"sample 3, {said}" in told
    assert page.locator("img:not([alt])").count() == 0
    measured, graded = (page.get_by_role("table").nth(i).aria_snapshot() for i in (0, 1))
    assert 'row "rmse 3.50 12' in measured and "caption: Measured on the 20 samples above." in measured
    assert 'row "frechet 41.5 36.0 … 47.5' in graded and "of 500 other samples of this model" in graded
    regions = [page.get_by_role("region", name=name) for name in ("Metrics", "Checkpoint scores")]
    assert [region.locator("[tabindex='0'] table").count() for region in regions] == [1, 1]
    assert page.locator("video").get_attribute("aria-label") == "From noise."


@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_hangs_over_the_edge(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#sample-18").scroll_into_view_if_needed()
    page.locator("#sample-18").click()
    box = page.locator(".detail").bounding_box()
    assert 0 <= box["y"] < 800 and box["height"] < 450, "the chosen sample stays in sight"
    for caption in page.locator("caption span").all():
        words = caption.bounding_box()
        assert 0 <= words["x"] and words["x"] + words["width"] <= width, "read without scrolling sideways"
