"""`--condition` on the command line: parsing, and errors for invalid conditions."""

from __future__ import annotations

import chess
import numpy as np
import pytest
from PIL import Image

from generative.data.boards import read_board
from scenes.sampling.conditions import ConditionOptionError, parse_condition
from supervised.data.columns import ArrayColumn, LabelColumn
from supervised.data.dataset import Dataset, Spec

FRAMES = Spec((64, 64, 3), ("breakout", "pong"), words=("ball", "is", "low", "the", "."))
BOARDS = Spec((64, 64, 3), ("board",))
JOINTS = Spec((3,), ("walker2d",), axes=("rootz", "thigh_joint", "leg_joint"))


def held_out():
    values = np.arange(2, dtype=np.uint8)[:, None, None, None] * np.ones((2, 64, 64, 3), np.uint8)
    return Dataset(values=values, labels=LabelColumn.one("a", 2), episodes=np.arange(2))


def nothing():
    raise AssertionError("examples are not needed")


def test_labels_and_sentences():
    condition = parse_condition(["label=pong", "text=The ball is low."], FRAMES, nothing)
    assert (condition.label, condition.text, condition.frame) == ("pong", "The ball is low.", None)


def test_a_frame_is_a_held_out_example_or_a_file_shrunk(tmp_path):
    assert (parse_condition(["frame=1"], FRAMES, held_out).frame == 1).all()
    file = tmp_path / "shot.png"
    Image.fromarray(np.full((210, 160, 3), 9, np.uint8)).save(file)
    frame = parse_condition([f"frame={file}"], FRAMES, nothing).frame
    assert frame.shape == (64, 64, 3) and (frame == 9).all()


def test_masks_are_boxes_files_or_axes(tmp_path):
    mask = parse_condition(["frame=0", "mask=8,16,24,20"], FRAMES, held_out).mask
    assert mask.sum() == 16 * 4 and mask[16:20, 8:24].all()
    drawn = np.zeros((64, 64), np.uint8)
    drawn[:10] = 255
    Image.fromarray(drawn).save(tmp_path / "mask.png")
    mask = parse_condition(["frame=0", f"mask={tmp_path / 'mask.png'}"], FRAMES, held_out).mask
    assert mask[:10].all() and not mask[10:].any()


def test_joints_to_be_filled_in_are_named():
    joints = Dataset(
        values=ArrayColumn(np.eye(3, dtype=np.float32), JOINTS.axes),
        labels=LabelColumn.one("walker2d", 3),
        episodes=np.arange(3),
    )
    condition = parse_condition(["frame=2", "mask=rootz, leg_joint"], JOINTS, lambda: joints)
    assert condition.mask.tolist() == [True, False, True] and condition.frame.tolist() == [0, 0, 1]


def test_a_board_says_what_is_there_and_what_is_to_be_filled_in():
    start = "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR"
    condition = parse_condition([f"board={start.replace('/8/8/8/8/', '/8/8/8/????4/')}"], BOARDS, nothing)
    assert read_board(condition.frame).fen == chess.STARTING_BOARD_FEN
    assert condition.mask.sum() == 4 * 64 and condition.mask[40:48, :32].all()


@pytest.mark.parametrize(
    ("pairs", "spec", "words"),
    [
        (["lable=pong"], FRAMES, 'did you mean "label"'),
        (["pong"], FRAMES, "wants key=value"),
        (["label=pong", "label=pong"], FRAMES, "twice"),
        (["label=pang"], FRAMES, 'did you mean "pong"'),
        (["text=The bull is low."], FRAMES, 'no caption has the word "bull".*"ball"'),
        (["text=!?"], FRAMES, "no word"),
        (["text=hello"], BOARDS, "no captions"),
        (["frame=2"], FRAMES, "0 to 1"),
        (["frame=/dev/zero"], FRAMES, "frame=/dev/zero is a device, not a picture"),
        (["mask=/tmp"], FRAMES, "mask=/tmp is a folder, not a picture"),
        (["frame=missing.png"], FRAMES, "missing.png: there is no such file"),
        (["mask=0,0,8,8"], FRAMES, "needs a frame"),
        (["frame=0", "mask=missing.png"], FRAMES, "no such file"),
        (["frame=0", "mask=0,0,80,8"], FRAMES, "64×64"),
        (["frame=0", "mask=9,0,8,8"], FRAMES, "x0 < x1"),
        (["frame=0", "mask=thigh"], JOINTS, "thigh_joint"),
        (["frame=pose.png"], JOINTS, "held-out example"),
        (["board=8/8/8/8/8/8/8/????????"], FRAMES, "does not make chess boards"),
        (["board=8/8/8"], BOARDS, "eight ranks"),
        (["board=8/8/8/8/8/8/8/xxxxxxxx"], BOARDS, "eight ranks"),
        (["board=8/8/8/8/8/8/8/8"], BOARDS, "nothing to inpaint"),
        (["board=8/8/8/8/8/8/8/???????k", "frame=0"], BOARDS, "leave frame and mask out"),
    ],
)
def test_wrong_wishes_are_refused_by_name(pairs, spec, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    examples = held_out
    if spec is JOINTS:
        joints = np.eye(3, dtype=np.float32)

        def examples():
            return Dataset(
                values=ArrayColumn(joints, JOINTS.axes), labels=LabelColumn.one("a", 3), episodes=np.arange(3)
            )

    with pytest.raises(ConditionOptionError, match=words):
        parse_condition(pairs, spec, examples)


def test_pictures_of_the_wrong_size_are_refused(tmp_path):
    file = tmp_path / "small.png"
    Image.fromarray(np.zeros((32, 48), np.uint8)).save(file)
    with pytest.raises(ConditionOptionError, match=r"small\.png has 48×32 pixels, it must have 64×64"):
        parse_condition(["frame=0", f"mask={file}"], FRAMES, held_out)
    with pytest.raises(ConditionOptionError, match="no smaller"):
        parse_condition([f"frame={file}"], FRAMES, nothing)
    file.write_text("no picture")
    with pytest.raises(Exception, match=r"small\.png"):
        parse_condition(["frame=0", f"mask={file}"], FRAMES, held_out)
