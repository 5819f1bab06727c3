"""Scratch memory of the fast kernels, in bytes: what their `*_carve` functions take (csrc/*.h), piece by piece.

Every piece is rounded up to 64. Pointers count 8 bytes, so that a plan is the same on every machine; where they are
shorter, some bytes stay unused. The library says itself what it takes when a plan is bound to it (binding.py), and a
plan that has too little is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from spikelet.runtime.layout import ROW, UNIT, round_up, row_of_places
from spikelet.runtime.plan.kinds import Form, Kind
from spikelet.runtime.plan.operation import Planned

PIECE = 64  # spk_carve
CHUNK, TILE_BYTES, TILE_PIXELS = 16, 12288, 16  # tile.h
LIST_SLACK, EVENT_RUN, COUNT = 32, 24, 8  # events.h: the constant, sizeof(event_run), sizeof(size_t)
EVENT_UNIT, TOGETHER = 8, 4  # events.h: UNIT, and steps of a block
POINTER = 8  # blocks.h
VECTOR = 32  # matmul_bits.h
BESIDE = 4  # matmul.h: columns
MOST_WIDE = 64  # row_counts.h: bytes of the longest vector of rows
RUN_SLACK, BLOCK_SLACK = 16, 32  # ring.h
PANEL_PLACES, PANEL_BYTES = 64, 2**18  # blocks.h
CUT_KEPT = 33  # cuts.h
PLANES = 16  # row_counts.h
BLOCK_ROWS, MAX_VECTORS, TABLE_INNER = 65, 3, 256  # picks.h, matmul_bits.h


def _pieces(*sizes: int) -> int:
    return sum(round_up(size, PIECE) for size in sizes)


def _steps(op: Planned) -> int:
    """Steps of one sweep: total_steps and chunk_steps of sweep.h."""
    steps = op.number("T") if op.number("affine_t") > 1 else op.number("in_t")
    if "addend" in op.places:
        steps = max(steps, op.number("addend_t"))
    timed = "spikes" in op.places or "counts" in op.places or op.number("sum_time") or steps > 1
    return min(op.number("T") if timed else 1, CHUNK)


def _sweep(op: Planned, lanes: int, slack: int = 0) -> int:
    """sweep_carve: sums and membranes of the pixels of a tile."""
    pixel = _steps(op) * lanes
    pixels = max(1, min(TILE_PIXELS, TILE_BYTES // (pixel * 4)))
    others = op.number("max_h") * op.number("max_w") > 1
    return _pieces((pixels * pixel + slack) * 4, pixels * lanes * 4, (pixel + slack) * 4 * others)


def _rows(op: Planned) -> int:
    """spk_row_count of maps.h: input rows under an output row."""
    return (op.number("max_h") - 1) * op.number("stride_h") + op.number("kernel_h")


def plain(op: Planned) -> int:
    """plain_carve of pointwise.h."""
    return _sweep(op, round_up(op.number("out_c"), 8), op.number("row_bytes"))


def _ring(op: Planned, rows: int) -> int:
    """ring_bytes of ring.h: input rows in 16 or 8 bits."""
    slack = BLOCK_SLACK if op.kind is Kind.CONV_BLOCKS else RUN_SLACK
    length = (op.number("in_w") + 2 * op.number("pad_w")) * op.number("in_c") + slack
    return rows * op.number("in_t") * length * (2 if op.kind is Kind.CONV_PAIRS else 1)


def runs(op: Planned) -> int:
    """runs_carve of runs.h: a ring of input rows."""
    return _pieces(_ring(op, _rows(op))) + _sweep(op, round_up(op.number("out_c"), 8))


def _odd_lines(lines: int) -> int:
    return lines | 1


def blocks(op: Planned) -> int:
    """blocks_carve of blocks.h: a ring of input rows, a panel of what places read, and their sums."""
    kernel, width, high = op.number("kernel_h") * op.number("kernel_w"), op.number("out_w"), op.number("out_h")
    steps = _steps(op)
    rows = steps if op.number("in_t") > 1 else 1
    lanes = 16 * _odd_lines(-(-op.number("out_c") // 16))
    pixels = -(-PANEL_PLACES // rows)
    while pixels > 1 and pixels * steps * lanes * 4 > PANEL_BYTES:
        pixels = (pixels + 1) // 2
    pixels = min(pixels, width * high)
    places = round_up(pixels * rows, 16)
    spanned = min((pixels + width - 2) // width + 1, high)
    under = (spanned - 1) * op.number("max_h") * op.number("stride_h") + _rows(op)
    ring = 0 if kernel == 1 else _ring(op, under)
    panel = places * 64 * _odd_lines(-(-kernel * op.number("in_c") // 64)) + 64
    sums = places * (steps // rows) * lanes * 4
    others = op.number("max_h") * op.number("max_w") > 1
    return _pieces(ring, op.number("kernel_h") * POINTER, panel, sums, pixels * lanes * 4, sums * others)


def depthwise(op: Planned) -> int:
    """depthwise_carve of depthwise.h."""
    return _sweep(op, round_up(op.number("out_c"), 8))


def row_pixels(op: Planned) -> int:
    """Output pixels that share a row of weights: row_pixels of events.h."""
    return max(1, op.number("row_pixels"))


def _window_inputs(op: Planned) -> int:
    """Events that an input pixel can have in a group: group_inputs * most_events."""
    most = op.number("pool") ** 2 if op.number("source") == Form.SPIKES else op.number("most")
    return op.number("in_c") // op.number("groups") * most


def _list_count(op: Planned) -> int:
    """list_count of events.h: lists of a step and group."""
    return op.number("source_planes") if op.number("source") == Form.PLANES else 1


def _sets(op: Planned) -> tuple[int, int]:
    """Lists of the sets of steps of a block, and of all blocks: blocks_of_steps, where may_be_together; else none."""
    steps, taps = op.number("in_t"), op.number("kernel_h") * op.number("kernel_w")
    rows_of_bits = op.kind in (Kind.CONV_SLICED, Kind.CONV_CUTS)
    if not rows_of_bits or min(steps, taps) < 2 or op.number("source") == Form.VALUES or op.number("pool") > 1:
        return 0, 0
    of_block = -(-steps // -(-steps // TOGETHER))
    return 2**of_block - 1, -(-steps // of_block) * (2**of_block - 1)


def _events(op: Planned) -> int:
    """events_carve: lists of events of the input rows under an output row."""
    planes, high = _list_count(op), op.number("max_h")
    entries = _rows(op) * op.number("in_t") * op.number("groups") * planes
    inputs = op.number("in_c") // op.number("groups") if planes > 1 else _window_inputs(op)
    capacity = op.number("in_w") * inputs + LIST_SLACK
    lists = max(_sets(op)[1], op.number("in_t")) * (op.number("in_w") + 1)  # lists_of_steps, by column
    starts, runs = _rows(op) * lists * op.number("groups") * planes, high * op.number("kernel_h")
    sums = high * lists if op.kind is Kind.CONV_CUTS or row_pixels(op) > 1 else 0  # wants_sums
    return _pieces(entries * capacity * 4, starts * 4, runs * EVENT_RUN, high * COUNT, sums * 4)


def _window_events(op: Planned) -> int:
    """Bytes of the events of one window: events_capacity."""
    columns = op.number("kernel_w") + (row_pixels(op) - 1) * op.number("stride_w")  # tap_columns
    taps, slack = op.number("kernel_h") * columns, LIST_SLACK + EVENT_UNIT * _sets(op)[0]
    return 4 * (taps * _window_inputs(op) + slack * _list_count(op))


def rows(op: Planned) -> int:
    """rows_carve of rows.h."""
    outputs = op.number("row_bytes") * (2 if op.kind is Kind.CONV_NIBBLES else 1)
    lanes = outputs if op.number("groups") == 1 else round_up(op.number("out_c"), 32)
    return _events(op) + _pieces(_window_events(op), outputs * 4) + _sweep(op, lanes)


def sliced(op: Planned) -> int:
    """sliced_carve of sliced.h: a list of events for every row that shares a vector."""
    of_pixel = op.number("row_bytes") // row_pixels(op)
    streams, beside = (max(1, MOST_WIDE // size) for size in (op.number("row_bytes"), of_pixel))
    lanes, pooled = 8 * of_pixel, op.number("max_h") * op.number("max_w") > 1
    others = beside * _steps(op) * lanes * 4 * pooled
    return _events(op) + _pieces(*[_window_events(op)] * streams, lanes * 4) + _sweep(op, lanes) + _pieces(others)


def cuts(op: Planned) -> int:
    """cuts_carve of cuts.h: a list of events for every pixel that shares a vector, and what outputs remember."""
    streams, row = max(1, MOST_WIDE // op.number("row_bytes")), round_up(op.number("row_bytes"), MOST_WIDE)
    return _events(op) + _pieces(*[_window_events(op)] * streams, row * CUT_KEPT)


def places(op: Planned) -> int:
    """places_carve of places.h: taps, a strip's table, planes of a group of outputs, sums of a band."""
    high, times, kernel = op.number("max_h"), op.number("in_t"), op.number("kernel_w") * op.number("in_c")
    positions, pitch = op.number("out_h") * high, row_of_places(op.number("out_w") * op.number("max_w"))
    band = min(max(ROW // (pitch * times) // high * high, high), positions)
    strips = -(-times // min(ROW // (pitch * band), times))
    read = round_up(positions, band) + op.number("kernel_h") - 1
    rows_ = max(read, op.number("pad_h") + round_up(op.number("in_h"), 8))
    synapses, groups = kernel * op.number("kernel_h"), -(-op.number("out_c") // 64)
    counts = _pieces(PLANES * 65 * ROW, strips * groups * 64 * ROW * 8 * 2, strips * ROW * 8 * 2)
    taps = _pieces(kernel * times * rows_ * pitch + ROW, (synapses + 2) * ROW)
    return taps + counts + _pieces(round_up(synapses, UNIT) * 4) + _sweep(op, round_up(op.number("out_c"), 16))


def _matrix(op: Planned) -> tuple[int, int, int, int, int]:
    """matrix_sizes of matrices.h: count, positions of a and of b, and channels of a head of each."""
    count = op.number("in_h") if op.number("by_row") else 1
    a = op.number("in_h") * op.number("in_w") // count
    b = op.number("addend_h") * op.number("addend_w") // count
    return count, a, b, op.number("in_c") // op.number("heads"), op.number("addend_c") // op.number("heads")


def matrices(op: Planned) -> int:
    """packed_carve of matmul.h: both matrices of a head, and a few columns of the product."""
    _, a, b, a_channels, b_channels = _matrix(op)
    rows_, inner = (a, a_channels) if op.number("transpose_a") else (a_channels, a)
    columns = b_channels if op.number("transpose_b") else b
    narrow, rows_ = bool(op.number("narrow")), round_up(rows_, 8)
    inner, width = (round_up(inner, 2), 2) if narrow else (inner, 4)
    return _pieces(rows_ * inner * width, columns * inner * width, BESIDE * rows_ * 4)


def _lines(op: Planned, form: int, pixels: int, channels: int, by_channel: int, planes: int) -> int:
    """lines_carve of matmul_bits.h: bits by position and by channel."""
    words = round_up(channels, 64) // 64
    spikes = 0 if form == Form.SPIKES else pixels * words
    transposed = 64 * words * (round_up(pixels, 64) // 64) if by_channel else 0
    return _pieces(planes * spikes * 8, planes * transposed * 8)


def matrix_bits(op: Planned) -> int:
    """bits_carve of matmul_bits.h: A's lines, a table of their sums, and the bits of both factors."""
    count, a, b, a_channels, _ = _matrix(op)
    turned, pixels, channels = op.number("transpose_a"), count * a, op.number("in_c")
    lines, groups, entries = (a_channels, op.number("heads"), pixels) if turned else (a, count, channels)
    stride = round_up(round_up(entries, 8) * op.number("lane_bits") // 8, VECTOR)
    made = groups * (round_up(lines, 64) // 64 * BLOCK_ROWS * stride) + VECTOR * MAX_VECTORS
    inner = a_channels if turned else a
    table = 0 if inner > TABLE_INNER else round_up(inner, 8) // 4 * MAX_VECTORS * 512
    of_a = _lines(op, Form.SPIKES, pixels, channels, turned, 1) if op.number("source") == Form.SPIKES else 0
    of_b = _lines(
        op, op.number("addend_source"), count * b, op.number("addend_c"), op.number("transpose_b"), op.number("planes")
    )
    return _pieces(made, table) + of_a + of_b


FAST: Mapping[Kind, Callable[[Planned], int]] = {
    Kind.CONV_ROWS: rows,
    Kind.CONV_SLICED: sliced,
    Kind.CONV_NIBBLES: rows,
    Kind.CONV_CUTS: cuts,
    Kind.CONV_PLACES: places,
    Kind.CONV_VALUES: plain,
    Kind.CONV_PAIRS: runs,
    Kind.CONV_QUADS: runs,
    Kind.CONV_DEPTHWISE: depthwise,
    Kind.CONV_BLOCKS: blocks,
    Kind.POINTWISE: plain,
    Kind.MATMUL: matrices,
    Kind.MATMUL_BITS: matrix_bits,
}
