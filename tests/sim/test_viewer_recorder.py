"""Recordings: every picture arrives, and nothing is left half done."""

import os

import av
import numpy as np
import pytest
from PIL import Image

from sim.viewer.draw.theme import canvas
from sim.viewer.errors import RecordingFailed, ViewerError
from sim.viewer.output.recorder import Recorder, check_target


def record(path, count, size=(64, 48), fps=30, overwrite=False):
    recorder = Recorder(path, size, fps, overwrite=overwrite)
    picture = canvas(size)
    for i in range(count):
        picture.fill((255, 0, 0) if i % 2 else (0, 0, 255))
        recorder.add(picture)
    return recorder.close()


@pytest.mark.parametrize("count", [1, 2, 37])
@pytest.mark.parametrize("fps", [15, 30, 29.97])
def test_an_mp4_has_exactly_the_pictures_given(tmp_path, count, fps):
    file = record(tmp_path / "a.mp4", count, fps=fps)
    with av.open(str(file)) as video:
        stream = video.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(stream)]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert float(stream.average_rate) == pytest.approx(fps, rel=1e-3)
    assert len(frames) == count
    for i, frame in enumerate(frames):
        np.testing.assert_allclose(frame[24, 32], (255, 0, 0) if i % 2 else (0, 0, 255), atol=12)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_odd_sizes_become_even(tmp_path):
    file = record(tmp_path / "a.mp4", 2, size=(65, 49))
    with av.open(str(file)) as video:
        assert (video.streams.video[0].width, video.streams.video[0].height) == (64, 48)


def test_pictures_of_another_size_are_fitted_in(tmp_path):
    recorder = Recorder(tmp_path / "a.mp4", (64, 48), 30)
    for size in ((64, 48), (128, 48)):
        picture = canvas(size)
        picture.fill((0, 255, 0))
        recorder.add(picture)
    with av.open(str(recorder.close())) as video:
        last = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)][-1]
    assert last[24, 32, 1] > 200 and last[4, 32, 1] < 30


def test_a_gif_plays_in_the_same_time(tmp_path):
    file = record(tmp_path / "a.gif", 10, fps=10)
    with Image.open(file) as gif:
        assert gif.n_frames == 10
        assert gif.info["duration"] == 100
        assert gif.convert("RGB").getpixel((32, 24)) == (0, 0, 255)


def test_what_cannot_be_written_is_refused_at_once(tmp_path):
    with pytest.raises(ViewerError, match=r"\.mp4 or \.gif"):
        check_target(tmp_path / "a.avi")
    with pytest.raises(ViewerError, match="create it first"):
        check_target(tmp_path / "missing" / "a.mp4")
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(ViewerError, match="is a folder"):
        check_target(tmp_path / "folder.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(ViewerError, match="is a named pipe; name a file"):
        check_target(tmp_path / "pipe.mp4", overwrite=True)


def test_a_persons_video_is_replaced_only_where_that_is_asked_for(tmp_path):
    film = tmp_path / "a.mp4"
    film.write_text("mine")
    with pytest.raises(ViewerError, match="a.mp4: it exists; name another file, or add --overwrite"):
        check_target(film)
    assert film.read_text() == "mine" and list(tmp_path.iterdir()) == [film]
    assert record(film, 1, overwrite=True) == film
    assert film.read_bytes() != b"mine"


def test_a_file_that_came_meanwhile_stays(tmp_path):
    """Two windows record to the name that was free for both."""
    one, other = (Recorder(tmp_path / "a.mp4", (64, 48), 30) for _ in range(2))
    one.add(canvas((64, 48)))
    assert one.close() == tmp_path / "a.mp4"
    first = (tmp_path / "a.mp4").read_bytes()
    other.add(canvas((64, 48)))
    assert other.close() == tmp_path / "a-2.mp4"
    assert (tmp_path / "a.mp4").read_bytes() == first
    assert {path.name for path in tmp_path.iterdir()} == {"a.mp4", "a-2.mp4"}


def test_a_recording_that_is_given_up_leaves_nothing(tmp_path):
    recorder = Recorder(tmp_path / "a.mp4", (64, 48), 30)
    recorder.add(canvas((64, 48)))
    recorder.discard()
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_is_refused_at_once(tmp_path, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.touch", refuse)
    with pytest.raises(ViewerError, match="Permission denied; choose a folder"):
        check_target(tmp_path / "a.mp4")


@pytest.mark.parametrize("suffix", ["mp4", "gif"])
def test_no_picture_leaves_no_file(tmp_path, suffix):
    assert record(tmp_path / f"a.{suffix}", 0) is None
    assert list(tmp_path.iterdir()) == []


def test_a_failing_encoder_keeps_the_older_file_and_never_hangs(tmp_path, monkeypatch):
    (tmp_path / "a.mp4").write_text("older")

    def full(self, pictures):
        next(pictures)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Recorder, "_encode_mp4", full)
    recorder = Recorder(tmp_path / "a.mp4", (64, 48), 30, overwrite=True)
    with pytest.raises(RecordingFailed, match="No space left on device.*free some space"):
        for _ in range(100):
            recorder.add(canvas((64, 48)))
        recorder.close()
    assert (tmp_path / "a.mp4").read_text() == "older"
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
