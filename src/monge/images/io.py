"""Read and write pictures of 8 or 16 bits with their alpha, metadata and color profile.

Pillow reads only the high bytes of 16-bit color. `_sixteen` therefore reads such a file twice, the
second time for the low bytes; `_png16` writes one, which Pillow cannot. A picture read as
``native`` keeps one channel for gray, and the color space of the file's profile, so that unchanged
pixels are written as they were.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile, UnidentifiedImageError

from monge.errors import MongeError

Pixels = NDArray[Any]

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "TIFF": {"compression": "tiff_adobe_deflate"},
    "WEBP": {"lossless": True, "exact": True},
}
_LOW_BYTE = {"16B": "16L", "16L": "16B", "16N": "16B" if np.little_endian else "16L"}
_PNG_KINDS = {1: 0, 2: 4, 3: 2, 4: 6}  # by channels: gray, gray with alpha, RGB, RGBA
_ORIENTATION = 0x0112
# tags of a TIFF about the photograph, not about the file
_PHOTO_TAGS = {270, 271, 272, 305, 306, 315, 33432, 34665, 34853}


@dataclass(frozen=True)
class Picture:
    """Colors in sRGB with alpha, metadata and color profile.

    ``colors`` are (h, w, 3), or (h, w, 1) for a gray picture that was read as native; ``alpha``
    (h, w) has the same type. ``exif`` is the metadata without the orientation, which has been
    applied. ``profile`` is the sRGB profile of the file or the one it was converted to; an empty
    one means sRGB. A picture read as native has the file's own profile. ``notes`` say what reading
    has changed, one sentence each; ``clipped`` is the share of the visible pixels with a mapped
    color outside the gamut.
    """

    colors: Pixels
    alpha: Pixels | None = None
    exif: bytes = b""
    profile: bytes = b""
    notes: tuple[str, ...] = ()
    clipped: float = 0.0

    @property
    def visible(self) -> Pixels:
        """Colors (n, 3) of the pixels that are not fully transparent."""
        if self.alpha is None:
            return self.colors.reshape(-1, self.colors.shape[2])
        return self.colors[self.alpha > 0]

    @property
    def channels(self) -> Pixels:
        """Colors, and alpha if the picture has one, (h, w, 1 to 4)."""
        return self.colors if self.alpha is None else np.dstack([self.colors, self.alpha])

    @property
    def rgb(self) -> Picture:
        """The same picture with three channels of color."""
        if self.colors.shape[2] == 3:
            return self
        # a profile of gray does not apply to colors
        return replace(self, colors=np.repeat(self.colors, 3, 2), profile=b"")

    def save(self, path: str | Path) -> Path:
        """Write the picture to a file, see `write_picture`."""
        write_picture(self, path)
        return Path(path)


Source = Picture | Pixels | str | Path


def top_value(dtype: np.dtype[Any]) -> float:
    """Return the value of white in a type of numbers."""
    return 1.0 if np.issubdtype(dtype, np.floating) else float(np.iinfo(dtype).max)


def from_channels(pixels: Pixels, name: str = "picture") -> Picture:
    """Return the picture with channels (h, w, 1 to 4), of which the last of 2 or 4 is alpha.

    MongeError for other types than uint8, uint16 and floats in [0, 1].
    """
    floats = np.issubdtype(pixels.dtype, np.floating)
    if not floats and pixels.dtype not in (np.uint8, np.uint16):
        raise MongeError(f"{name} must be uint8, uint16 or floats in [0, 1], got {pixels.dtype}")
    if floats and not (pixels.min() >= 0 and pixels.max() <= 1):
        raise MongeError(f"{name} has floats outside [0, 1]: divide colors of 8 bits by 255")
    colors = pixels.shape[2] - 1 | 1  # 1 of 1 or 2 channels, 3 of 3 or 4
    return Picture(pixels[..., :colors], pixels[..., -1] if pixels.shape[2] > colors else None)


def read_picture(path: str | Path, *, native: bool = False) -> Picture:
    """Read a picture of any mode as sRGB; with ``native``, gray as gray and colors in their space.

    MongeError if the file is missing, damaged, or not a picture that can be represented.
    """
    path = Path(path)
    if not path.is_file():
        reason = "it is a folder" if path.is_dir() else "the file does not exist"
        raise MongeError(f"no picture at '{path}': {reason}")
    try:
        with _any_size(), Image.open(path) as image:
            return _decoded(image, path, native)
    except UnidentifiedImageError:
        raise MongeError(
            f"'{path}' is not a picture that Pillow reads: convert it to PNG, JPEG or TIFF"
        ) from None
    except (OSError, SyntaxError, ValueError, struct.error, zlib.error, EOFError) as error:
        raise MongeError(
            f"'{path}' is damaged ({error}): export or copy the picture again"
        ) from None


def require_writable(path: str | Path, depth: int | None = None, alpha: bool = False) -> str:
    """Return the name of the format of a file's ending.

    MongeError if the ending is unknown, or the format cannot hold ``depth`` bits or ``alpha``.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise MongeError(
            f"pictures are written as {', '.join(FORMATS)}, got '{path}': give it one of these "
            "endings"
        )
    name = FORMATS[path.suffix.lower()]
    instead = f"write '{path.with_suffix('.png')}' instead of '{path}'"
    if alpha and name == "JPEG":
        raise MongeError(f"{name} has no transparency and the picture has: {instead}")
    if depth == 16 and name != "PNG":
        raise MongeError(f"16-bit color is written as PNG: {instead}")
    return name


def write_picture(picture: Picture, path: str | Path) -> None:
    """Write a picture in the format of the file's ending.

    All formats are lossless but JPEG, which has quality 95 and no chroma subsampling.
    """
    path = Path(path)
    deep = picture.colors.dtype == np.uint16
    name = require_writable(path, 16 if deep else 8, picture.alpha is not None)
    path.parent.mkdir(parents=True, exist_ok=True)
    if deep:
        path.write_bytes(_png16(picture.channels, picture.exif, picture.profile))
        return
    options = _OPTIONS.get(name, {}) | ({"exif": picture.exif} if picture.exif else {})
    gray = picture.colors.shape[2] == 1
    # WebP has colors only, and no place for a profile of gray
    if picture.profile and not (gray and name == "WEBP"):
        options["icc_profile"] = picture.profile
    pixels = picture.channels
    pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, name, **options)


@contextmanager
def _any_size() -> Iterator[None]:
    """Lift Pillow's limit of 179 megapixels, which guards against files from strangers."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _decoded(image: ImageFile.ImageFile, path: Path, native: bool) -> Picture:
    frames = getattr(image, "n_frames", 1)
    notes = [f"only the first of {frames} frames is used"] if frames > 1 else []
    # before the metadata: that of a PNG comes after the pixels, and reading it decodes them
    raw = _raw_mode(image)
    exif = image.getexif()
    orientation = exif.pop(_ORIENTATION, 1)
    if image.format == "TIFF":
        for tag in set(exif) - _PHOTO_TAGS:
            del exif[tag]
    metadata = exif.tobytes() if len(exif) else b""
    profile = image.info.get("icc_profile") or b""
    if ";16" in raw and image.mode in ("RGB", "RGBA", "CMYK"):
        deep = from_channels(_sixteen(image, raw, path))
        if profile and not native and not _is_srgb(profile):
            raise MongeError(
                f"'{path}' has 16 bits and a color profile other than sRGB: convert it to sRGB "
                "first"
            )
        pixels, alpha = deep.colors, deep.alpha
    elif image.mode.startswith("I"):
        gray = np.asarray(image)
        if gray.size and not 0 <= gray.min() <= gray.max() < 65536:
            raise MongeError(
                f"'{path}' has gray values from {gray.min()} to {gray.max()}: scale them to 0 to "
                "65535"
            )
        pixels, alpha = gray.astype(np.uint16)[..., None], None
    elif image.mode == "F":
        raise MongeError(f"'{path}' has floating-point values: save it with 8 or 16 bits")
    else:
        alpha = None
        if image.has_transparency_data:
            alpha = np.asarray(image.convert("RGBA").getchannel("A"))
        if native and image.mode in ("1", "L", "LA", "RGB", "RGBA"):
            plain = np.asarray(image.convert("RGB" if image.mode.startswith("RGB") else "L"))
            pixels = plain[..., None] if plain.ndim == 2 else plain
        else:
            pixels, profile = _as_srgb(image, profile, notes)
    if pixels.shape[2] == 1 and not native:
        pixels, profile = np.repeat(pixels, 3, 2), b""
        notes.append("gray is read as RGB")
    alpha = None if alpha is None else _upright(alpha, orientation)
    return Picture(_upright(pixels, orientation), alpha, metadata, profile, tuple(notes))


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """Return Pillow's name of the layout of the file's pixels.

    It is 'RGB;16B' for a 16-bit PNG, which has the mode 'RGB'.
    """
    args: Any = image.tile[0][3] if getattr(image, "tile", None) else ""
    return str(args[0] if isinstance(args, tuple) and args else args)


def _sixteen(image: ImageFile.ImageFile, raw: str, path: Path) -> Pixels:
    """Read the pixels of a picture with 16 bits, of which ``image`` has the high bytes."""
    layout, _, order = raw.partition(";")
    if raw == "LA;16B":  # Pillow makes RGBA of the high bytes: read the four bytes as stored
        four = _read_as("RGBA", path).astype(np.uint16)
        return np.asarray(four[..., ::2] << 8 | four[..., 1::2])
    if layout not in ("RGB", "RGBA") or order not in _LOW_BYTE or len(image.tile) > 1:
        raise MongeError(
            f"'{path}' has 16-bit pixels laid out as {raw}: save it as 16-bit RGB or RGBA PNG"
        )
    high, low = np.asarray(image), _read_as(f"{layout};{_LOW_BYTE[order]}", path)
    return high.astype(np.uint16) << 8 | low


def _read_as(layout: str, path: Path) -> Pixels:
    """Read the pixels of a file as if they were stored in another layout."""
    with Image.open(path) as image:
        for i, tile in enumerate(image.tile):
            others = tile.args[1:] if isinstance(tile.args, tuple) else ()
            image.tile[i] = tile._replace(args=(layout, *others))
        return np.asarray(image)


def _as_srgb(image: Image.Image, profile: bytes, notes: list[str]) -> tuple[Pixels, bytes]:
    """Convert an image from its profile to sRGB; return pixels (h, w, 3) and their new profile."""
    if image.mode not in ("RGB", "RGBA"):
        notes.append(f"mode {image.mode} is read as RGB")
    plain = image.convert(image.mode[:-1]) if image.mode in ("RGBA", "LA") else image
    if plain.mode in ("P", "PA", "1", "La", "RGBa"):
        plain = image.convert("RGBA").convert("RGB")
    if not profile or (plain.mode == "RGB" and _is_srgb(profile)):
        return np.asarray(plain.convert("RGB")), profile if plain.mode == "RGB" else b""
    target = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(plain, own, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        notes.append("its color profile cannot be used and is dropped: colors are taken as sRGB")
        return np.asarray(plain.convert("RGB")), b""
    assert converted is not None
    notes.append("converted to sRGB by its color profile")
    stored = target.tobytes()
    # without the creation date: equal inputs give equal files
    return np.asarray(converted), stored[:24] + bytes(12) + stored[36:]


def _is_srgb(profile: bytes) -> bool:
    try:
        parsed = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return "sRGB" in ImageCms.getProfileDescription(parsed)
    except (ImageCms.PyCMSError, OSError):
        return False


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Apply the orientation of the metadata."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels[::-1] if orientation in (3, 4, 7, 8) else pixels)


def _png16(pixels: Pixels, exif: bytes, profile: bytes) -> bytes:
    """Return a PNG of 16-bit pixels (h, w, 1 to 4); rows are stored as differences (filter 2)."""
    h, w, channels = pixels.shape
    rows = np.ascontiguousarray(pixels, ">u2").view(np.uint8).reshape(h, -1)
    stored = np.empty((h, rows.shape[1] + 1), np.uint8)
    stored[:, 0] = 2
    stored[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=stored[1:, 1:])
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", w, h, 16, _PNG_KINDS[channels], 0, 0, 0))]
    if profile:
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)))
    if exif:
        chunks.append((b"eXIf", exif.removeprefix(b"Exif\0\0")))
    chunks += [(b"IDAT", zlib.compress(stored.tobytes(), 6)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body
