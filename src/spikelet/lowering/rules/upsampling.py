"""Maps made larger: by the nearest position, which only repeats elements, and twice as large by the bilinear mean.

    y[i, j] = 1/16 sum over u, v of k[u] k[v] r[i + u, j + v],   k = (1, 2, 1),  u, v = -1, 0, 1

r is x with every position repeated 2 x 2, and its border once more around it. A line x[0], x[1] ... becomes x[0],
(3 x[0] + x[1]) / 4, (x[0] + 3 x[1]) / 4, (3 x[1] + x[2]) / 4 ... so: torch's bilinear mode with scale_factor=2 and
align_corners=False, in sixteenths, which floats and integers hold exactly.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from spikelet.base.codes import stored
from spikelet.base.errors import LoweringError
from spikelet.graph import ir
from spikelet.lowering.builder import Builder
from spikelet.lowering.reading import as_maps, of_one_scale
from spikelet.lowering.registry import convert, function
from spikelet.lowering.rules.moves import moved_as_floats
from spikelet.lowering.trace import Call
from spikelet.lowering.values import Value

LINE = np.array([1, 2, 1])
BITS = 4  # of the kernel's codes, 1 to 4


@function("interpolate", "upsample", moves=True)
def interpolated(b: Builder, call: Call, x: Value) -> Value:
    """Nearest neighbours, or means of neighbours where a map becomes twice as large.

    Raises:
        LoweringError: another mode or another size, whose weights integers don't have.
    """
    names = ("input", "size", "scale_factor", "mode", "align_corners", "recompute_scale_factor", "antialias")
    given = dict(zip(names, call.args, strict=False)) | call.kwargs
    mode = given.get("mode", "nearest")
    if mode in ("nearest", "nearest-exact"):
        return moved_as_floats(b, call, x)
    twice = tuple(call.output.shape) == (*x.shape[:-2], 2 * x.shape[-2], 2 * x.shape[-1])
    factor = None if given.get("recompute_scale_factor") else given.get("scale_factor")
    twice &= factor is None or set(factor if isinstance(factor, tuple | list) else (factor,)) == {2}  # not 2.05
    if mode != "bilinear" or not twice or given.get("align_corners") or given.get("antialias"):
        corners = " of aligned corners" if given.get("align_corners") else ""
        raise LoweringError(
            f"{call.place}: interpolates from {tuple(x.shape[2:])} to {tuple(call.output.shape[2:])} by mode "
            f"{mode!r}{corners}, whose weights integers don't have. Use mode='nearest', or mode='bilinear' with "
            "scale_factor=2 and align_corners=False, whose weights are sixteenths; several of them for 4, 8 ..."
        )
    wide = x.addresses.repeat_interleave(2, -2).repeat_interleave(2, -1)
    rows, columns = (torch.arange(-1, n + 1).clamp(0, n - 1) for n in wide.shape[-2:])
    around = wide[..., rows, :][..., columns].contiguous()
    return convert(b, dataclasses.replace(call, target="spikelet_blur"), [Value(tuple(around.shape), None, around)])


@function("spikelet_blur")
def blurred(b: Builder, call: Call, x: Value) -> Value:
    """Every channel through the kernel k k^T / 16 of its own, without padding."""
    where, shape = call.named("interpolate"), tuple(call.output.shape)
    maps = of_one_scale(b, as_maps(b, x, where), where)
    kernel = np.broadcast_to(np.outer(LINE, LINE), (maps.source.channels, 1, 3, 3))
    node = ir.Conv(
        b.extra_name(where), (maps.source.node,), stored(kernel, BITS), BITS, (1, 1), (0, 0), maps.source.channels
    )
    return maps.made(b.append(node, shape[-3:], maps.source.scale / LINE.sum() ** 2, maps.source.time), shape)
