"""The image operations that augmentation policies are made of, batched, on bytes.

    op(x uint8 [B, C, H, W], m float32 [B]) -> uint8 [B, C, H, W]         m: a magnitude a sample

C is 1 (grey) or 3 (RGB). Units of m:

    translate_x, translate_y   fraction of the side          rotate     degrees
    shear_x, shear_y           tangent                       posterize  bits kept, 1 .. 8, rounded
    solarize                   threshold: bytes at or above it are inverted
    brightness, contrast,      factor f: blend(d, x, f) = clip(floor(d + f (x - d)), 0, 255), where d is black,
    colour, sharpness          the mean grey, the pixel's grey, the smoothed image; f = 1 changes nothing
    autocontrast, equalize, invert, identity     m is not used

The photometric ones equal Pillow's ImageOps and ImageEnhance byte for byte (the tests say so). All those
that treat each byte by itself are tables of 256 entries, applied by one gather.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from spikelet.base.errors import SpikeletError
from spikelet.data.augment.warp import shear_matrix, shift_matrix, turn_matrix, warp

Op = Callable[[Tensor, Tensor], Tensor]


def _bytes(x: Tensor) -> Tensor:
    """0 .. 255 along the last of three axes, float32 [1, 1, 256]."""
    return torch.arange(256, dtype=torch.float32, device=x.device).view(1, 1, 256)


def _look_up(x: Tensor, table: Tensor) -> Tensor:
    """table[b, c, x[b, c, i, j]] for a `table` uint8 [B, C, 256]."""
    return table.gather(2, x.flatten(2).long()).view_as(x)


def _blend(degenerate: Tensor, x: Tensor, factor: Tensor) -> Tensor:
    """clip(floor(d + f (x - d)), 0, 255) in float32."""
    return torch.floor(degenerate + factor * (x - degenerate)).clamp(0, 255)


def _grey(x: Tensor) -> Tensor:
    """ITU-R 601 luma as Pillow rounds it, int32 [B, 1, H, W]."""
    if x.shape[1] == 1:
        return x.int()
    if x.shape[1] != 3:
        raise SpikeletError(f"colour operations take images of 1 or 3 channels, got shape {tuple(x.shape)}.")
    red, green, blue = x.int().unbind(1)
    return ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16).unsqueeze(1)


# --- tables: (x, m) -> what each byte becomes, [B, 1 or C, 256], to be clipped to 0 .. 255


def _invert(x: Tensor, m: Tensor) -> Tensor:
    return (255 - _bytes(x)).expand(len(x), 1, 256)


def _solarize(x: Tensor, m: Tensor) -> Tensor:
    byte = _bytes(x)
    return torch.where(byte < m.view(-1, 1, 1), byte, 255 - byte)


def _posterize(x: Tensor, m: Tensor) -> Tensor:
    dropped = torch.exp2(8 - torch.floor(m + 0.5).view(-1, 1, 1))
    return torch.floor(_bytes(x) / dropped) * dropped


def _brightness(x: Tensor, m: Tensor) -> Tensor:
    return _blend(torch.zeros(1, 1, 1, device=x.device), _bytes(x), m.view(-1, 1, 1))


def _contrast(x: Tensor, m: Tensor) -> Tensor:
    mean = torch.floor(_grey(x).double().mean((1, 2, 3)) + 0.5).float()
    return _blend(mean.view(-1, 1, 1), _bytes(x), m.view(-1, 1, 1))


def _autocontrast(x: Tensor, m: Tensor) -> Tensor:
    low, high = (v.unsqueeze(2).double() for v in x.flatten(2).aminmax(dim=2))
    scale = torch.where(high > low, torch.full_like(low, 255) / (high - low).clamp(min=1), torch.ones_like(low))
    offset = torch.where(high > low, -low * scale, torch.zeros_like(low))
    return torch.floor(_bytes(x).double() * scale + offset)


def _equalize(x: Tensor, m: Tensor) -> Tensor:
    flat = x.flatten(2).long()
    counts = torch.zeros(*flat.shape[:2], 256, dtype=torch.int64, device=x.device)
    counts.scatter_add_(2, flat, torch.ones_like(flat))
    brightest = flat.amax(2, keepdim=True)
    step = (flat.shape[2] - counts.gather(2, brightest)) // 255
    table = (counts.cumsum(2) - counts + step // 2) // step.clamp(min=1)
    return torch.where(step > 0, table, torch.arange(256, device=x.device))


_TABLES: dict[str, Op] = {
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "invert": _invert,
    "solarize": _solarize,
    "posterize": _posterize,
    "brightness": _brightness,
    "contrast": _contrast,
}

# --- matrices: (x, m) -> M of `warp`, [B, 2, 3]

_MATRICES: dict[str, Op] = {
    "rotate": lambda x, m: turn_matrix(m),
    "translate_x": lambda x, m: shift_matrix(m * x.shape[-1], torch.zeros_like(m)),
    "translate_y": lambda x, m: shift_matrix(torch.zeros_like(m), m * x.shape[-2]),
    "shear_x": lambda x, m: shear_matrix(m, torch.zeros_like(m)),
    "shear_y": lambda x, m: shear_matrix(torch.zeros_like(m), m),
}

# --- images: (x, m) -> the new image, uint8 [B, C, H, W]


def _identity(x: Tensor, m: Tensor) -> Tensor:
    return x


def _colour(x: Tensor, m: Tensor) -> Tensor:
    return _blend(_grey(x).float(), x.float(), m.view(-1, 1, 1, 1)).to(torch.uint8)


def _smooth(x: Tensor) -> Tensor:
    """The mean of each inner pixel's 3 x 3 window, weight 5 at the centre, rounded; the border stays as it is."""
    y = x.int()
    if min(x.shape[-2:]) < 3:
        return y
    rows = y[..., :-2, :] + y[..., 1:-1, :] + y[..., 2:, :]
    total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * y[..., 1:-1, 1:-1]
    y[..., 1:-1, 1:-1] = (2 * total + 13) // 26
    return y


def _sharpness(x: Tensor, m: Tensor) -> Tensor:
    return _blend(_smooth(x).float(), x.float(), m.view(-1, 1, 1, 1)).to(torch.uint8)


_IMAGES: dict[str, Op] = {"identity": _identity, "colour": _colour, "sharpness": _sharpness}

OPS = (*_IMAGES, *_TABLES, *_MATRICES)  # "identity" is 0


def apply_ops(x: Tensor, choice: Tensor, magnitude: Tensor) -> Tensor:
    """Sample b goes through the operation OPS[choice[b]] with magnitude[b].

    The batch is sorted by operation, so that each works on neighbours, all tables are looked up in one
    gather and all matrices warped in another.

    Args:
        x: uint8 [B, C, H, W].
        choice: int64 [B], on the CPU.
        magnitude: float32 [B].
    """
    order = torch.argsort(choice, stable=True)
    sizes = torch.bincount(choice, minlength=len(OPS)).tolist()
    back = torch.argsort(order).to(x.device)
    order = order.to(x.device)
    x = x.index_select(0, order)
    images_of = dict(zip(OPS, x.split(sizes), strict=True))
    magnitudes_of = dict(zip(OPS, magnitude.to(x.device).index_select(0, order).split(sizes), strict=True))

    def made_by(ops: dict[str, Op]) -> list[Tensor]:
        return [op(images_of[name], magnitudes_of[name]) for name, op in ops.items() if len(images_of[name])]

    images, tables, matrices = made_by(_IMAGES), made_by(_TABLES), made_by(_MATRICES)
    first = sum(map(len, images))
    if tables:
        table = torch.cat([t.clamp(0, 255).to(torch.uint8).expand(-1, x.shape[1], -1) for t in tables])
        images.append(_look_up(x[first : first + len(table)], table))
        first += len(table)
    if matrices:
        images.append(warp(x[first:], torch.cat(matrices)))
    return torch.cat(images).index_select(0, back)
