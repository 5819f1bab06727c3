"""Encoded pictures to bytes of one size and one form.

    [N, 1, H, W] if every picture is grey, [N, 3, H, W] RGB if not

Decoding is the slow part, so its result is kept on disk (decoded_cache.py) under a hash of the encoded pictures and of
how they are decoded: no change of the source goes unseen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from spikelet.base.errors import DataError
from spikelet.base.picture import Picture, read_picture
from spikelet.data.readers.decoded_cache import Decoded, recall
from spikelet.data.readers.encoded import Encoded
from spikelet.data.readers.reader import Request
from spikelet.data.readers.room import require_room, room_for

_FORM = b"spikelet decoded images, form 3"  # to be counted up when `read_picture` changes what it returns


def decoded(encoded: Encoded, request: Request, split: str) -> Decoded:
    """The pictures of a split, by way of the cache.

    Raises:
        DataError: there are too many for the memory, or they are of several sizes.
        SpikeletError: one of them cannot be used; names its file or sample.
    """
    where = f"{request.name}/{split}"
    if request.image_size is not None:
        require_room(encoded.count * 3 * request.image_size**2, where)
    digest = hashlib.sha256(_FORM + repr((request.image_size, request.ground)).encode())
    for _, data in encoded.read():
        digest.update(len(data).to_bytes(8, "little") + data)
    return recall(
        digest.hexdigest(), encoded.count, lambda: _stacked(_pictures(encoded, request), encoded.count, where)
    )


def kind_of(encoded: Encoded, request: Request) -> str:
    """What kind of file the first picture is, such as "JPEG"."""
    return next(_pictures(encoded, request))[1].kind


def spread(images: np.ndarray, channels: int) -> np.ndarray:
    """Grey images [N, 1, H, W] as `channels` equal channels; others as they are."""
    return images if images.shape[1] == channels else np.repeat(images, channels, axis=1)


def _pictures(encoded: Encoded, request: Request) -> Iterator[tuple[str, Picture]]:
    """The pictures, each with its name."""
    size = None if request.image_size is None else (request.image_size, request.image_size)
    return ((name, read_picture(data, name, size=size, ground=request.ground)) for name, data in encoded.read())


def _stacked(pictures: Iterator[tuple[str, Picture]], count: int, where: str) -> Decoded:
    """One array of all pictures; grey ones become RGB where they meet others."""
    out: np.ndarray = np.zeros((0, 1, 1, 1), np.uint8)
    transparent = 0
    for k, (name, picture) in enumerate(pictures):
        array, transparent = picture.pixels, transparent + picture.transparent
        if k == 0:
            require_room(count * 3 * array.shape[1] * array.shape[2], where)
            out = room_for((count, *array.shape), where)
        if array.shape[1:] != out.shape[2:]:
            raise DataError(
                f"{name} is {array.shape[1]} x {array.shape[2]} pixels, the first of {where} {out.shape[2]} x "
                f"{out.shape[3]}. Give them one size: image_size=..."
            )
        if len(array) > out.shape[1]:
            out = spread(out, 3)
        out[k] = array  # a grey one is spread over the three channels
    return Decoded(out, transparent)
