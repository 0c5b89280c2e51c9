"""Reading of image and video files, and folders of them, as RGB arrays (H, W, 3) uint8."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sim.catalog import install_hint
from sim.errors import RequestError
from sim.records import Array
from sim.storage.files import special_file_kind

VIDEOS = {".mp4", ".mov", ".mkv", ".webm", ".avi"}
PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm"}
MOST_PIXELS = 16_000_000  # of one picture; larger ones are refused before they are decoded
MOST_FRAMES = 1_000  # read of one video or animation


class PictureError(RequestError, ValueError):
    """An image or video file that cannot be read."""


#: Told of what cannot be looked at: its name, as of a picture, and why.
Failed = Callable[[str, PictureError], None]


def read_pictures(path: Path, failed: Failed | None = None) -> Iterator[tuple[str, Array]]:
    """Read images in order of their names: pairs of source and (H, W, 3) uint8.

    A folder gives all the pictures and videos in it; an animation or a video each of its frames, as
    ``clip.mp4#12``, up to `MOST_FRAMES`. Transparency is laid on black, 16 bits are cut to 8, CMYK, grey and
    palettes become RGB, and a camera's rotation is undone.

    Args:
        path: a picture, a video or a folder.
        failed: called with each damaged file or frame; reading goes on with the next.

    Raises:
        PictureError: if there is no picture at all; without `failed` also for the first that is damaged.
    """
    for file in picture_files(path):
        try:
            _check_readable(file)
            yield from _frames(file, failed) if file.suffix.lower() in VIDEOS else _stills(file)
        except PictureError as error:
            if failed is None:
                raise
            failed(str(file), error)


def picture_files(path: Path) -> list[Path]:
    """List image and video files: `path` itself, or those in the folder `path`.

    Raises:
        PictureError: if there is none.
    """
    if not path.exists():
        raise PictureError(f"--input {path}: there is no such file or folder")
    if not path.is_dir():
        return [path]
    try:
        files = [file for file in sorted(path.iterdir()) if file.suffix.lower() in PICTURES | VIDEOS]
    except OSError as error:
        raise PictureError(f"--input {path} cannot be read: {error.strerror}") from error
    if not files:
        kinds = ", ".join(sorted(PICTURES | VIDEOS))
        raise PictureError(f"--input {path}: there is no picture in this folder ({kinds})")
    return files


def _check_readable(file: Path) -> None:
    if odd := special_file_kind(file):
        raise PictureError(f"{file} is {odd}, not a picture")
    try:
        size = file.stat().st_size
    except OSError as error:
        raise PictureError(f"{file} cannot be read: {error.strerror}") from error
    if size == 0:
        raise PictureError(f"{file} is empty")


def _stills(file: Path) -> Iterator[tuple[str, Array]]:
    try:
        from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError
    except ModuleNotFoundError as error:
        raise PictureError(f"reading pictures needs {install_hint('PIL')}") from error
    try:
        with Image.open(file) as image:
            _refuse_huge(file, *image.size)
            several = getattr(image, "n_frames", 1) > 1
            for i, frame in enumerate(ImageSequence.Iterator(image)):
                if i == MOST_FRAMES:
                    break
                yield f"{file}#{i}" if several else str(file), _rgb(ImageOps.exif_transpose(frame))
    except UnidentifiedImageError as error:
        raise PictureError(f"{file} is not a picture in a format that is known here") from error
    except PictureError:
        raise
    except Exception as error:  # damaged bytes make Pillow's decoders raise nearly anything
        raise PictureError(f"{file} cannot be read: {error or type(error).__name__}") from error


def _rgb(image: Any) -> Array:
    """A Pillow image of any mode as (H, W, 3) uint8."""
    from PIL import Image

    assert isinstance(image, Image.Image)
    if image.mode.startswith("I") or image.mode == "F":  # 16 or 32 bits a pixel, grey
        values = np.asarray(image, np.float64)
        top = 65535.0 if values.max() > 255 else 255.0
        grey = np.clip(values * 255 / top, 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        clear = image.convert("RGBA")
        black = Image.new("RGBA", clear.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, clear)
    return np.array(image.convert("RGB"))


def _frames(file: Path, failed: Failed | None) -> Iterator[tuple[str, Array]]:
    try:
        import av
    except ModuleNotFoundError as error:
        raise PictureError(f"reading videos needs {install_hint('av')}") from error
    number = 0
    try:
        with av.open(str(file)) as container:
            if not container.streams.video:
                raise PictureError(f"{file} holds no pictures: it is only sound, or was cut short")
            stream = container.streams.video[0]
            _refuse_huge(file, stream.width, stream.height)
            for packet in container.demux(stream):
                try:
                    frames = packet.decode()
                except av.FFmpegError as error:
                    frames = []
                    if failed is None:
                        raise
                    failed(f"{file}#{number}", PictureError(f"{file}#{number} cannot be read: {error}"))
                    number += 1
                for frame in frames:
                    if number >= MOST_FRAMES:
                        return
                    yield f"{file}#{number}", frame.to_ndarray(format="rgb24")
                    number += 1
    except (av.FFmpegError, OSError) as error:
        raise PictureError(f"{file} cannot be read as a video: {error}") from error


def _refuse_huge(file: Path, width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        most = f"{MOST_PIXELS / 1e6:.0f} million pixels"
        raise PictureError(f"{file} is {width}×{height}, more than {most}: shrink it")
