"""Output pixels that share a row of 1-bit weights, which then fills a vector.

A row of few outputs is shorter than a vector, and pixels that lie side by side in one have a list of events each, whose
rows are put together piece by piece. But neighbours read nearly the same input. So a row may hold what a synapse means
to each of `pixels` neighbours, zeros where it is under none of a pixel's taps, and all of them have one list:

    each for itself     kernel_w columns of taps, a row for each of `pixels` pixels and event
    together            kernel_w + (pixels - 1) stride_w columns, one row an event

The table of weights grows by both. What pays was measured (results/LOG.md, 2026-12-01, fourth session): kernels of
three columns and more at stride 1, tables that stay in a second cache, and where counts become numbers (CONV_SLICED)
vectors of four pixels.
"""

from __future__ import annotations

from spikelet.graph.ops.synapses import MOST_SHARED
from spikelet.runtime.layout import shared_row_bytes, sliced_row_bytes
from spikelet.runtime.plan.kinds import Kind

FEWEST_COLUMNS, FEWEST_PIXELS = 3, 4  # of a kernel; of a vector whose counts become numbers


def pixel_bytes(kind: Kind, outputs: int) -> int:
    """Bytes that a pixel of so many outputs has of a row that several share."""
    return shared_row_bytes(outputs) if kind is Kind.CONV_CUTS else sliced_row_bytes(outputs)


def row_pixels(kind: Kind, vector: int, weight: tuple[int, ...], stride_w: int, out_w: int) -> int:
    """How many output pixels, of `out_w` side by side, share a row of weights where a vector has so many bytes; 1: each
    has its own.

    Args:
        weight: the shape of the layer's weights, [O, I, kh, kw].
    """
    outputs, inputs, kernel_h, kernel_w = weight
    if kernel_w < FEWEST_COLUMNS or stride_w > 1 or kind not in (Kind.CONV_CUTS, Kind.CONV_SLICED):
        return 1
    of_pixel = pixel_bytes(kind, outputs)
    pixels = max(1, vector // of_pixel)
    while pixels >= 2 * out_w or (
        pixels > 1 and inputs * kernel_h * (kernel_w + pixels - 1) * pixels * of_pixel > MOST_SHARED
    ):
        pixels //= 2
    return 1 if kind is Kind.CONV_SLICED and pixels < FEWEST_PIXELS else pixels
