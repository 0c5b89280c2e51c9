"""A task of pictures that also takes a text: commentary of a position in FEN, and what is no FEN refused."""

import pytest

from scenes.perceiving.request import PerceiveRequest
from scenes.perceiving.tasks import perceive_task
from scenes.schema import load_scene
from sim.errors import RequestError

pytest.importorskip("matplotlib")


def perceived(tmp_path, source):
    scene = load_scene("commentary", ["perception.0.language=fr"])
    request = PerceiveRequest(source=source, out=tmp_path / "out")
    return perceive_task(scene, request, device="cpu", say=print)


def test_a_fen_is_commented_on_and_drawn(tmp_path):
    report = perceived(tmp_path, "4k3/pp6/8/3P4/8/2P5/8/R3K2q w - - 0 1")
    (row,) = report.answer["percepts"]
    assert row["caption"].startswith("le roi blanc est en e1 avec 2 pions et 1 pièce,")
    assert len(report.answer["files"]) == 1


def test_what_is_neither_a_file_nor_a_fen_is_refused(tmp_path):
    with pytest.raises(RequestError, match="none.png.*neither a picture nor a position"):
        perceived(tmp_path, "none.png")
