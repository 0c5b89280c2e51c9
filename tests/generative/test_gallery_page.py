"""The gallery's page in a real browser: Debian's chromium, headless, with no network."""

from __future__ import annotations

import shutil
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from generative.gallery import (
    Clip,
    GalleryContent,
    Grades,
    LatentMap,
    RealEntry,
    SampleEntry,
    Strip,
    write_gallery,
)

CHROMIUM = shutil.which("chromium")
#: Places of the first four samples on the map: the corners of a square that is wider than high.
CORNERS = np.array([[-2.0, 1.0], [2.0, 1.0], [-2.0, -1.0], [2.0, -1.0]])
PATIENCE = 120_000  # ms, for busy machines
PICTURES = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), np.uint8)
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
    pictures = PICTURES
    gallery = GalleryContent(
        title="Dreams",
        about="a sampler",
        samples=tuple(
            SampleEntry(
                pictures[i],
                7,
                f"label {i}",
                pictures[-1 - i],
                f"0.{i}",
                "pong",
                i % 2 == 0,
                label="low" if i < 5 else "high",
            )
            for i in range(20)
        ),
        real=tuple(RealEntry(pictures[20 + i], "low", f"caption {i}") for i in range(6)),
        latent_map=LatentMap.of_points(CORNERS, CORNERS[:2] / 2, "a square"),
        verdicts=("legal", "not legal"),
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
    page.keyboard.press("Enter")
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


def test_a_click_chooses_and_enlarges_and_arrows_go_on_from_there(page):
    page.locator("#sample-7").click()
    assert facts(page)["sample"] == "7"
    large = page.locator("#large")
    assert large.is_visible() and page.locator("#large-title").inner_text() == "sample 7"
    assert page.locator("#large-chosen").bounding_box()["width"] > 400
    page.keyboard.press("ArrowRight")
    assert page.locator("#large-title").inner_text() == "sample 8" and facts(page)["sample"] == "8"
    page.keyboard.press("Escape")
    page.locator("#sample-8:focus").wait_for()  # the dialog closes a moment later
    assert not large.is_visible()
    page.keyboard.press("Enter")
    assert large.is_visible()


def test_filters_leave_what_matches_and_say_how_many(page):
    shown = page.locator("[role=option]:visible")
    assert shown.count() == 20, "real examples are shown when they are asked for"
    page.locator("#by-verdict").select_option("not legal")
    assert shown.count() == 10 and page.locator("#count").inner_text() == "10 of 20 shown"
    assert facts(page)["sample"] == "2", "the first that is left is chosen"
    page.locator("#by-label").select_option("low")
    assert [one.get_attribute("id") for one in shown.all()] == ["sample-2", "sample-4"]
    page.locator("#sample-2").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.id") == "sample-4", "arrows pass over what is hidden"
    page.get_by_label("contains").fill("label 3")
    assert shown.count() == 1
    page.get_by_label("contains").fill("nothing of the kind")
    assert shown.count() == 0
    page.get_by_role("button", name="Clear filters").click()
    assert shown.count() == 20 and page.locator("#count").inner_text() == ""


def test_real_examples_stand_beside_the_samples(page):
    page.get_by_text("beside real").click()
    ids = [one.get_attribute("id") for one in page.locator("[role=option]:visible").all()]
    assert ids[:4] == ["sample-1", "real-1", "sample-2", "real-2"] and len(ids) == 26
    page.locator("#real-2").click()
    assert page.locator("#large-kind").inner_text() == "real example"
    assert facts(page)["caption"] == "caption 1" and not page.locator("#near").is_visible()


def test_the_map_has_the_pictures_where_their_components_are(page):
    board = page.locator("#map")
    board.scroll_into_view_if_needed()
    box = board.bounding_box()
    across, down = box["width"] / 2 - 32, box["height"] / 2 - 32
    ends = {}
    for x, y in ((-1, 0.5), (1, 0.5), (-1, -0.5), (1, -0.5)):
        at = {"x": box["width"] / 2 + x * across, "y": box["height"] / 2 - y * down}
        board.click(position=at)
        ends[x, y] = page.locator("#large-title").inner_text()
        page.keyboard.press("Escape")
    assert sorted(ends.values()) == [f"sample {i}" for i in (1, 2, 3, 4)]
    assert {ends[-1, 0.5], ends[-1, -0.5]} in ({"sample 1", "sample 3"}, {"sample 2", "sample 4"})
    assert page.locator("#map-legend .key").all_inner_texts() == ["sample", "real"]
    page.locator("#map-colour").select_option("verdict")
    assert page.locator("#map-legend .key").all_inner_texts() == ["legal", "not legal", "real"]
    board.focus()
    page.keyboard.press("+")
    board.click(position={"x": box["width"] / 2 - across, "y": box["height"] / 2 - down / 2})
    assert not page.locator("#large").is_visible(), "enlarged, the corner is out of sight"
    assert "PC 1 explains 81%, PC 2 explains 19%" in page.locator("#map-note").inner_text()


def test_the_poster_of_a_clip_is_its_last_frame_and_it_loops_without_a_sound(page):
    video = page.locator("video")
    poster = video.get_attribute("poster").partition(",")[2]
    with Image.open(BytesIO(b64decode(poster))) as image:
        np.testing.assert_array_equal(np.asarray(image), PICTURES[7])
    assert video.evaluate("video => video.muted && video.loop")
    video.scroll_into_view_if_needed()
    for _ in range(100):
        if not video.evaluate("video => video.paused"):
            break
        page.wait_for_timeout(50)
    assert not video.evaluate("video => video.paused")


def test_the_focus_can_be_seen(page):
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
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
    assert (
        'row "RMSE, levels of 255 ↓ 3.50 12' in measured
        and "caption: Measured on the 20 samples above." in measured
    )
    assert (
        'row "Fréchet distance ↓ 41.5 36.0 … 47.5' in graded
        and "of 500 other samples of this model" in graded
    )
    regions = [page.get_by_role("region", name=name) for name in ("Metrics", "Checkpoint scores")]
    assert [region.locator("[tabindex='0'] table").count() for region in regions] == [1, 1]
    assert page.locator("video").get_attribute("aria-label") == "From noise."


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_hangs_over_the_edge(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#sample-18").scroll_into_view_if_needed()
    page.locator("#sample-18").click()
    large = page.locator("#large").bounding_box()
    assert large["x"] >= 0 and large["x"] + large["width"] <= width and large["height"] <= 800
    page.keyboard.press("Escape")
    box = page.locator(".detail").bounding_box()
    assert 0 <= box["y"] < 800 and box["height"] < 450, "the chosen sample stays in sight"
    for caption in page.locator("caption span").all():
        words = caption.bounding_box()
        assert 0 <= words["x"] and words["x"] + words["width"] <= width, "read without scrolling sideways"
