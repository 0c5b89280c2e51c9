"""Video recording of the window: H.264 in mp4 through PyAV, or GIF through Pillow.

Encoding has a thread of its own behind a short queue, so that drawing goes on meanwhile. The file
has a temporary name until it is complete.
"""

from __future__ import annotations

import math
import os
import queue
import threading
import weakref
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pygame

from sim.records import Array
from sim.storage.files import put_in_place, reason, special_file_kind
from sim.viewer.draw.theme import canvas
from sim.viewer.errors import RecordingFailed, ViewerError

SUFFIXES = (".mp4", ".gif")

_QUEUED = 8  # pictures that may wait to be encoded
_BT709 = 1  # ITU-T H.273: the colours of high-definition television
_GIF_FPS = 25  # browsers play nothing faster reliably
# "veryfast" makes files half as large, but then encoding, not drawing, sets the pace of a headless run.
_X264 = {"preset": "superfast", "crf": "20", "x264-params": "bframes=0:subme=0"}


def check_target(path: Path, *, overwrite: bool = False) -> Path:
    """Refuse a file that could not be written, before any work is done for it.

    Returns the path, absolute.

    Raises:
        ViewerError: for a file that exists unless `overwrite`, an unknown suffix, a missing or unwritable
            folder, or a missing library.
    """
    path = Path(path).expanduser().absolute()
    if path.suffix.lower() not in SUFFIXES:
        raise ViewerError(f"cannot record to {path.name}: name a file that ends in .mp4 or .gif")
    if odd := special_file_kind(path):
        raise ViewerError(f"cannot record to {path}: it is {odd}; name a file")
    if os.path.lexists(path) and not overwrite:
        raise ViewerError(f"cannot record to {path}: it exists; name another file, or add --overwrite")
    if not path.parent.is_dir():
        raise ViewerError(f"cannot record to {path}: there is no folder {path.parent}; create it first")
    try:
        _partial(path).touch()
        _partial(path).unlink()
    except OSError as error:
        raise ViewerError(
            f"cannot record to {path}: {error.strerror or error}; choose a folder that can be written"
        ) from error
    _import_encoder(path)
    return path


class Recorder:
    """Encoder of one video file; every picture given to `add` becomes one frame of an mp4.

    Args:
        path: an .mp4 or .gif file.
        size: (width, height) in pixels; pictures of other sizes are fitted in. Odd lengths are
            rounded down to even ones, which H.264 with 4:2:0 colours needs.
        fps: pictures a second.
        overwrite: replace a file of that name when the new one is complete. Otherwise one that has come
            meanwhile stays, and the video takes the next free name.

    Raises:
        ViewerError: as `check_target`.
    """

    def __init__(self, path: Path, size: tuple[int, int], fps: float, *, overwrite: bool = False) -> None:
        self.path = check_target(path, overwrite=overwrite)
        self.frames = 0
        self._overwrite = overwrite
        self._size = (max(2, size[0] // 2 * 2), max(2, size[1] // 2 * 2))
        self._fps = Fraction(fps).limit_denominator(1000)
        self._queue: queue.Queue[tuple[int, Array] | None] = queue.Queue()
        self._free: queue.Queue[Array] = queue.Queue()  # buffers are used again: fresh memory is slow
        for _ in range(_QUEUED):
            self._free.put(np.empty((self._size[1], self._size[0]), np.uint32))
        self._error: Exception | None = None
        # Whatever ends the process before `close`, short of a SIGKILL, leaves no part of a video behind.
        weakref.finalize(self, _partial(self.path).unlink, missing_ok=True)
        self._thread = threading.Thread(target=self._encode, name="recorder", daemon=True)
        self._thread.start()

    def add(self, picture: pygame.Surface, index: int | None = None) -> None:
        """Append a picture, copied at once.

        Args:
            picture: made by `theme.canvas`.
            index: its place in time, in 1/fps seconds and above the last one's; None: right after it.

        Raises:
            RecordingFailed: if encoding has failed, for example because the disk is full.
        """
        self._raise_failure()
        fitted = _fitted(picture, self._size)
        width, height = self._size
        pixels = self._free.get()
        np.copyto(pixels, pygame.surfarray.pixels2d(fitted).T[:height, :width])
        self._queue.put((self.frames if index is None else index, pixels))
        self.frames += 1

    def close(self) -> Path | None:
        """Complete the file and give it its name; None, and no file, if it has no picture.

        It may be called again where an exception, such as Ctrl-C, has struck in it.

        Raises:
            RecordingFailed: if encoding has failed; nothing is left behind then.
        """
        self._end()
        self._raise_failure()
        if self.frames == 0:
            _partial(self.path).unlink(missing_ok=True)
        elif _partial(self.path).exists():
            try:
                self.path = put_in_place(_partial(self.path), self.path, overwrite=self._overwrite)
            except OSError as error:
                raise RecordingFailed(f"recording {self.path} failed: {reason(error)}") from error
        return self.path if self.frames else None

    def discard(self) -> None:
        """End without a file."""
        self._end()
        _partial(self.path).unlink(missing_ok=True)

    def _end(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _raise_failure(self) -> None:
        if self._error is not None:
            raise RecordingFailed(
                f"recording {self.path} failed: {self._error}; free some space or choose another folder"
            ) from self._error

    def _encode(self) -> None:
        pictures = self._pictures()
        try:
            if self.path.suffix.lower() == ".gif":
                self._encode_gif(pictures)
            else:
                self._encode_mp4(pictures)
        except Exception as error:
            self._error = error
            _partial(self.path).unlink(missing_ok=True)
        for _ in pictures:  # the drawing thread must never wait for an encoder that has failed
            pass

    def _pictures(self) -> Iterator[tuple[int, Array]]:
        """The queued pictures, (H, W, 4) uint8 B, G, R, unused; each is valid until the next is asked for."""
        while (item := self._queue.get()) is not None:
            index, pixels = item
            yield index, pixels.view(np.uint8).reshape(*pixels.shape, 4)
            self._free.put(pixels)

    def _encode_mp4(self, pictures: Iterator[tuple[int, Array]]) -> None:
        import av
        from av.video.reformatter import Colorspace, VideoReformatter

        with av.open(str(_partial(self.path)), "w", format="mp4", options={"movflags": "faststart"}) as file:
            stream: Any = file.add_stream("libx264", rate=self._fps, options=_X264)
            stream.width, stream.height = self._size
            stream.pix_fmt = "yuv420p"
            stream.time_base = stream.codec_context.time_base = 1 / self._fps
            stream.codec_context.thread_count = 1  # beside the drawing thread; more of them cost more in all
            stream.codec_context.colorspace = stream.codec_context.color_primaries = _BT709
            stream.codec_context.color_trc = _BT709
            reformatter = VideoReformatter()
            for index, pixels in pictures:
                frame = av.VideoFrame.from_numpy_buffer(pixels, "bgra")
                frame = reformatter.reformat(
                    frame, format="yuv420p", dst_colorspace=Colorspace.ITU709, interpolation="AREA", threads=1
                )
                frame.pts, frame.time_base = index, 1 / self._fps
                file.mux(stream.encode(frame))
            if self.frames:
                file.mux(stream.encode())

    def _encode_gif(self, pictures: Iterator[tuple[int, Array]]) -> None:
        from PIL import Image

        every = math.ceil(self._fps / _GIF_FPS)
        drawn = (
            Image.fromarray(pixels[..., 2::-1].copy()).quantize(128, Image.Quantize.FASTOCTREE)
            for count, (_, pixels) in enumerate(pictures)
            if count % every == 0
        )
        first = next(drawn, None)
        if first is not None:
            first.save(
                _partial(self.path),
                format="GIF",
                save_all=True,
                append_images=drawn,
                duration=round(1000 * every / self._fps),
                loop=0,
            )


class Footage:
    """A recording of moments at a constant rate: each `every`-th, once, and none left out.

    Args:
        path: as for `Recorder`, and so are `size` and `overwrite`.
        size: of the pictures.
        rate: moments a second.
        first: number of the moment that the recording begins with.
        every: 1 for a picture of each moment, 2 for one of every second, …

    Attributes:
        due: number of the moment whose picture comes next.
        every: see there.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        rate: float,
        first: int,
        *,
        every: int = 1,
        overwrite: bool = False,
    ) -> None:
        self._recorder = Recorder(path, size, rate / every, overwrite=overwrite)
        self.due, self.every = first, every

    def add(self, picture: pygame.Surface, number: int) -> None:
        """Append the picture of moment `number` if that is due; see `Recorder`."""
        if number == self.due:
            self._recorder.add(picture)
            self.due += self.every

    def close(self) -> Path | None:
        """Complete the file; see `Recorder`."""
        return self._recorder.close()


def _partial(path: Path) -> Path:
    """Its name until it is complete; two processes may record to one name."""
    return path.with_name(f".{path.name}.part-{os.getpid()}")


def _import_encoder(path: Path) -> None:
    library = "Pillow" if path.suffix.lower() == ".gif" else "av"
    try:
        __import__({"Pillow": "PIL.Image", "av": "av"}[library])
    except ImportError as error:
        raise ViewerError(
            f"recording {path.suffix} needs {library}: python -m pip install 'playfield[view]'"
        ) from error


def _fitted(picture: pygame.Surface, size: tuple[int, int]) -> pygame.Surface:
    """The picture, or where its size has changed during the recording, a copy between bars."""
    width, height = picture.get_size()
    if (width // 2 * 2, height // 2 * 2) == size:
        return picture
    factor = min(size[0] / width, size[1] / height)
    inner = pygame.transform.smoothscale(picture, (round(width * factor), round(height * factor)))
    fitted = canvas(size)
    fitted.blit(inner, inner.get_rect(center=fitted.get_rect().center))
    return fitted
