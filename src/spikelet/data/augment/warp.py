"""Moving pixels: rotation and shear are one gather, shifts one copy of rows. Nothing is blended: counts stay counts.

    y[..., i, j] = x[..., i', j']        the nearest pixel, 0 where (i', j') lies outside
    (j', i')     = floor(M (j - cx, i - cy, 1) + (cx, cy) + 1/2)        M: 2 x 3, one a sample

(cx, cy) = ((W - 1)/2, (H - 1)/2) is the centre. M maps where a pixel goes to where it comes from, in pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def warp(x: Tensor, matrix_B23: Tensor) -> Tensor:
    """The samples of `x`, each moved by its matrix; the module's equations.

    Args:
        x: uint8 [..., B, C, H, W].
        matrix_B23: float32 [B, 2, 3], M of each sample.
    """
    height, width = x.shape[-2:]
    cx, cy = (width - 1) / 2, (height - 1) / 2
    j = (torch.arange(width, device=x.device) - cx).view(1, 1, width)
    i = (torch.arange(height, device=x.device) - cy).view(1, height, 1)
    m = matrix_B23.view(-1, 2, 3, 1, 1)
    column = m[:, 0, 0] * j + (m[:, 0, 1] * i + (m[:, 0, 2] + (cx + 0.5)))  # [B, H, W], to be floored
    row = m[:, 1, 0] * j + (m[:, 1, 1] * i + (m[:, 1, 2] + (cy + 0.5)))
    inside = (column >= 0).logical_and_(column < width).logical_and_(row >= 0).logical_and_(row < height)
    index = row.floor_().mul_(width).add_(column.floor_())  # exact below 2^24
    index = index.clamp_(0, height * width - 1).long().flatten(1)  # outside: any, hidden below
    y = x.flatten(-2).gather(-1, index.unsqueeze(1).expand(*x.shape[:-2], height * width)).view_as(x)
    return y.mul_(inside.view(torch.uint8).unsqueeze(1))


def cut(x: Tensor, top: Tensor, left: Tensor, height: int, width: int) -> Tensor:
    """A window of each sample: y[..., b, c, i, j] = x[..., b, c, top[b] + i, left[b] + j].

    Each row of the result is `width` neighbouring bytes of memory, so this copies rows, not pixels.

    Args:
        x: uint8 [..., B, C, H, W].
        top, left: int64 [B], windows inside the image.
    """
    x = x.contiguous()
    b, channels, full_height, full_width = x.shape[-4:]
    image = torch.arange(x[..., 0, 0].numel(), device=x.device).view(-1, b, channels, 1)
    row = image * full_height + top.view(1, b, 1, 1) + torch.arange(height, device=x.device)
    first = row * full_width + left.view(1, b, 1, 1)  # [frames, B, C, height]: where each row begins
    windows = x.as_strided((x.numel() - width + 1, width), (1, 1))
    return windows.index_select(0, first.flatten()).view(*x.shape[:-2], height, width)


def translate(x: Tensor, dx: Tensor, dy: Tensor) -> Tensor:
    """Moves samples right by `dx` and down by `dy` pixels, int64 [B]; zeros enter at the edges."""
    height, width = x.shape[-2:]
    reach_x, reach_y = int(dx.abs().max()), int(dy.abs().max())
    padded = F.pad(x, (reach_x, reach_x, reach_y, reach_y))
    return cut(padded, reach_y - dy, reach_x - dx, height, width)


def roll(x: Tensor, dx: Tensor, dy: Tensor) -> Tensor:
    """Moves samples right by `dx` and down by `dy` pixels, int64 [B]; what leaves at one edge enters at the other."""
    height, width = x.shape[-2:]
    twice = torch.cat((x, x), -1)
    twice = torch.cat((twice, twice), -2)
    return cut(twice, -dy % height, -dx % width, height, width)


def shift_matrix(dx: Tensor, dy: Tensor) -> Tensor:
    """M that moves right by `dx` and down by `dy` pixels, float32 [B] each."""
    one, zero = torch.ones_like(dx), torch.zeros_like(dx)
    return torch.stack((one, zero, -dx, zero, one, -dy), 1).view(-1, 2, 3)


def shear_matrix(kx: Tensor, ky: Tensor) -> Tensor:
    """M that slants about the centre: a pixel (x, y) from it moves right by kx y, or down by ky x.

    Args:
        kx, ky: float32 [B]; for each sample one of the two is 0.
    """
    one, zero = torch.ones_like(kx), torch.zeros_like(kx)
    return torch.stack((one, -kx, zero, -ky, one, zero), 1).view(-1, 2, 3)


def turn_matrix(degrees: Tensor) -> Tensor:
    """M that turns about the centre, counter-clockwise as seen, by `degrees` float32 [B]."""
    angle = torch.deg2rad(degrees)
    cos, sin, zero = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle)
    return torch.stack((cos, -sin, zero, sin, cos, zero), 1).view(-1, 2, 3)
