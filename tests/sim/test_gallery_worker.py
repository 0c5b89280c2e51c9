"""Parts of the gallery without a window: strokes of the mask, jobs of the worker, trays of items."""

import threading
import time

import numpy as np
from tiny_gallery_source import TinyGallerySource, pictures_of

from sim.viewer.gallery.items import Items
from sim.viewer.gallery.mask import painted
from sim.viewer.gallery.worker import Worker


def test_a_stroke_covers_what_lies_within_its_radius():
    mask = painted(np.zeros((20, 20), bool), (5, 10), (15, 10), 3)
    rows, columns = np.indices(mask.shape)
    x, y = columns + 0.5, rows + 0.5
    gap = np.hypot(np.maximum(0, np.maximum(5 - x, x - 15)), y - 10)
    np.testing.assert_array_equal(mask, gap <= 3)


def test_the_newest_job_comes_first_and_one_asked_for_again_is_dropped():
    got, go = [], threading.Event()

    def slow():
        for i in range(3):
            go.wait(5)
            yield i

    worker = Worker(lambda words, error: got.append((words, str(error))))
    news = threading.Event()
    worker.listen(news.set)
    worker.ask("page", "old", slow(), lambda i: got.append(("old", i)))
    worker.ask("page", "new", slow(), lambda i: got.append(("new", i)), lambda: got.append("end"))
    worker.ask("near", "near", iter([9]), lambda i: got.append(("near", i)))
    assert worker.busy == "near"
    go.set()
    end = time.monotonic() + 5
    while "end" not in got and time.monotonic() < end:
        news.wait(1)
        worker.deliver()
    worker.close()
    assert [g for g in got if g[0] == "new"] == [("new", 0), ("new", 1), ("new", 2)]
    assert ("near", 9) in got and not [g for g in got if g[0] == "old"]
    assert got.index(("near", 9)) < got.index(("new", 1))
    assert not worker.busy and not worker._thread.is_alive()


def test_trays_keep_values_pictures_latents_and_notes_together():
    source = TinyGallerySource(noted=True)
    items = Items(source)
    for drawn in source.make(8, "anything", 1):
        items.lay(drawn)
    moved = np.full((1, 4), 2.0, np.float32)
    items.move([3], moved)
    np.testing.assert_array_equal(items.pictures[3], pictures_of(moved)[0])
    assert items.notes[3] == "red 170" and len(items.first(2)) == 2
    assert items.only(3).notes == ["red 170"] and (items.only(3).latents[0] == 2).all()
