"""Arrays of bytes in .npy and .npz files, as samples of a network. Headers are read first; nothing is allocated, and no
object made, of what they only claim.

    [C, H, W]          CHW      one image, the same at every time step
    [T, C, H, W]       TCHW     one sample of T frames, one a time step
    [N, C, H, W]       NCHW     N images; N = T is read as frames, unless the axes are said
    [T, N, C, H, W]    TNCHW    N samples of T frames, time first
"""

from __future__ import annotations

import dataclasses
import io
import math
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

import numpy as np
from numpy.typing import NDArray

from spikelet.base.errors import FileRefused, SpikeletError
from spikelet.cli.options import Axes

MAX_FILE_BYTES = 1 << 31
MAGIC, ZIP_MAGIC = b"\x93NUMPY", b"PK"
Bytes = NDArray[np.uint8]
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_BROKEN = (zipfile.BadZipFile, RuntimeError, EOFError, OSError, ValueError, zlib.error)  # what zipfile lets through


@dataclasses.dataclass(frozen=True)
class Layout:
    """What arrays may be: samples of `shape` (C, H, W) for T = `time_steps`, with these `axes` (None: by shape)."""

    shape: tuple[int, ...]
    time_steps: int
    axes: Axes | None = None

    def axes_of(self, shape: tuple[int, ...]) -> Axes | None:
        """The axes of an array of `shape`; None where it has none of these layouts."""
        lead, rest = shape[: -len(self.shape)], shape[-len(self.shape) :]
        if rest != self.shape or not all(n > 0 for n in lead):
            return None
        steps = self.time_steps
        fits: dict[Axes, bool] = {
            "CHW": lead == (),
            "TCHW": lead == (steps,),
            "NCHW": len(lead) == 1,
            "TNCHW": len(lead) == 2 and lead[0] == steps,
        }
        return next((axes for axes, is_so in fits.items() if is_so and self.axes in (None, axes)), None)

    def __str__(self) -> str:
        s, t = ", ".join(map(str, self.shape)), self.time_steps
        if self.axes is not None:
            sizes = {"T": f"{t}, ", "N": "N, "}
            return f"uint8 of shape [{''.join(sizes[axis] for axis in self.axes[:-3])}{s}], axes {self.axes}"
        return f"uint8 of shape [{s}], [{t}, {s}] for one frame a time step, or [N, {s}] or [{t}, N, {s}] for N samples"


@dataclasses.dataclass(frozen=True)
class Sample:
    """One sample of a file: its name there ("" where the file is this sample), pixels [C, H, W] or [T, C, H, W], and
    what it was read as."""

    name: str
    pixels: Bytes
    what: str


def begins_like_arrays(content: bytes) -> bool:
    """Whether these are the first bytes of an .npy or .npz file."""
    return content.startswith((MAGIC, ZIP_MAGIC))


def samples_in(content: bytes, name: str, layout: Layout) -> Iterator[Sample]:
    """The samples of the .npy or .npz file `content`, which errors call `name`.

    Raises:
        FileRefused: it is neither, damaged, or holds no array of the layout.
    """
    if content.startswith(ZIP_MAGIC) and not name.casefold().endswith(".npy"):
        yield from _zipped(content, name, layout)
        return
    file = io.BytesIO(content)
    header = _Header.of(file, name)
    axes = header.axes_in(layout)
    if axes is None:
        raise FileRefused(f"{name} must hold {layout}; got {header}.{header.way_out}")
    yield from _samples(header.array(file, name), axes, "", layout)


@dataclasses.dataclass(frozen=True)
class _Header:
    shape: tuple[int, ...]
    by_columns: bool
    dtype: np.dtype

    @staticmethod
    def of(file: IO[bytes], name: str) -> _Header:
        try:
            return _Header(*_HEADERS[np.lib.format.read_magic(file)](file))  # type: ignore[arg-type]
        except Exception as error:  # another version, or whatever Python's tokenizer and parser raise
            raise FileRefused(f"{name} is not an .npy file, or its header is damaged. Save it anew.") from error

    def axes_in(self, layout: Layout) -> Axes | None:
        return layout.axes_of(self.shape) if self.dtype == np.uint8 else None

    def array(self, file: IO[bytes], name: str) -> Bytes:
        size = math.prod(self.shape)
        if size > MAX_FILE_BYTES:
            raise FileRefused(f"{name} has {size} bytes, more than the {MAX_FILE_BYTES} that are read. Split it.")
        data = file.read(size + 1)
        if len(data) != size:
            raise FileRefused(
                f"{name} holds {'more' if len(data) > size else 'less'} than the {size} bytes that its shape asks "
                "for. Save it anew."
            )
        return np.frombuffer(data, np.uint8).reshape(self.shape, order="F" if self.by_columns else "C")

    @property
    def way_out(self) -> str:
        is_real = self.dtype.kind == "f"
        return " (Values from 0 to 1 become bytes by (x * 255).round().astype('uint8').)" if is_real else ""

    def __str__(self) -> str:
        return f"{str(self.dtype)[:40]} {str(list(self.shape))[:60]}"


def _zipped(content: bytes, name: str, layout: Layout) -> Iterator[Sample]:
    """Samples of every array of an .npz file that has the layout; the others, such as labels, are passed over."""
    others, is_found = [], False
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                key = member.removesuffix(".npy")
                with archive.open(member) as file:
                    header = _Header.of(file, f"{name}: {key}")
                    axes = header.axes_in(layout)
                    array = None if axes is None else header.array(file, f"{name}: {key}")
                if axes is None or array is None:
                    others.append(f"{key}: {header}")
                    continue
                is_found = True
                yield from _samples(array, axes, f":{key}", layout)
    except SpikeletError:
        raise
    except _BROKEN as error:
        raise FileRefused(f"{name} is not an .npz file, or it is damaged. Save it anew.") from error
    if not is_found:
        raise FileRefused(f"{name} must hold {layout}; got {', '.join(others)[:200] or 'no array'}.")


def _samples(array: Bytes, axes: Axes, key: str, layout: Layout) -> Iterator[Sample]:
    what = f"uint8 {list(array.shape)}"
    if axes == "CHW":
        yield Sample(key, array, f"{what}, one image for every time step")
    elif axes == "TCHW":
        is_unsure = layout.axes is None and len(array) > 1
        hint = f" of one sample ({len(array)} images are --axes NCHW)" if is_unsure else ""
        yield Sample(key, array, f"{what}, {len(array)} frames{hint}")
    else:
        count = array.shape[axes.index("N")]
        what += ", one image for every time step" if axes == "NCHW" else f", {len(array)} frames"
        for n in range(count):
            pixels = array[n] if axes == "NCHW" else array[:, n]
            yield Sample(f"{key}[{n}]" if count > 1 else key, pixels, what)
