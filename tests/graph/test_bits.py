"""Weight codes and their bits: spec Q2 (bit 1 is +1), Q3 (lowest bit first) and Q5 (odd codes)."""

from __future__ import annotations

import numpy as np
import pytest

from spikelet.base.bits import pack, packed_bytes, unpack
from spikelet.base.codes import has_zero, stored, top_code, values_of, w_range
from spikelet.base.errors import ArtifactError, GraphError

AWKWARD = (0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 127, 129, 1023)


WIDTHS = [(bits, "symmetric") for bits in range(1, 9)] + [(b, grid) for b in range(2, 9) for grid in ("odd", "full")]
every_width = pytest.mark.parametrize(("bits", "grid"), WIDTHS)


def _w(count: int, bits: int, grid: str = "symmetric") -> np.ndarray:
    low, high = w_range(bits, grid)
    return np.random.default_rng([0, count, bits]).integers(low, high + 1, count).astype(np.int8)


@every_width
@pytest.mark.parametrize("count", AWKWARD)
def test_unpack_inverts_pack(count: int, bits: int, grid: str) -> None:
    w = _w(count, bits, grid)
    packed = pack(w, bits, grid)
    assert packed.dtype == np.uint8
    assert packed.shape == (packed_bytes(count, bits),) == (-(-count * bits // 8),)
    back = unpack(packed, count, bits, grid)
    assert back.dtype == np.int8
    np.testing.assert_array_equal(back, w)


@every_width
def test_codes_survive_their_notation(bits: int, grid: str) -> None:
    low, high = w_range(bits, grid)
    w = np.arange(low, high + 1).astype(np.int8)
    codes = values_of(w, bits, grid)
    assert stored(codes, bits, grid).tolist() == w.tolist()
    assert abs(codes).max() == top_code(bits, grid)
    assert (0 in codes) == has_zero(bits, grid)
    assert len(set(codes.tolist())) == (2**bits - 1 if grid == "symmetric" and bits > 1 else 2**bits)


@every_width
def test_every_bit_stands_where_the_definition_puts_it(bits: int, grid: str) -> None:
    w = _w(29, bits, grid)
    expected = 0
    for i, code in enumerate(values_of(w, bits, grid).tolist()):
        odd = bits == 1 or grid == "odd"
        field = (code + 2**bits - 1) // 2 if odd else code & (2**bits - 1)
        expected |= int(field) << (i * bits)
    assert pack(w, bits, grid).tobytes() == expected.to_bytes(packed_bytes(29, bits), "little")


def test_the_examples_of_the_module_hold() -> None:
    assert pack(stored(np.array([1, -1, -1, 1, 1]), 1), 1).tolist() == [0b00011001]
    assert pack(stored(np.array([3, -2, 1]), 3), 3).tolist() == [0b01110011, 0b00000000]
    assert pack(stored(np.array([3, -1, -3]), 2, "odd"), 2, "odd").tolist() == [0b00000111]


@every_width
def test_every_field_stands_for_another_code(bits: int, grid: str) -> None:
    fields = np.arange(2**bits, dtype=np.uint8)
    lanes = np.unpackbits(fields[:, None], axis=1, bitorder="little")[:, :bits]
    w = unpack(np.packbits(lanes, bitorder="little"), 2**bits, bits, grid)
    half = 2 ** (bits - 1)
    assert sorted(w.tolist()) == list(range(-half, half))  # -half is in no symmetric graph


def test_a_matrix_is_packed_row_by_row_whatever_its_strides() -> None:
    codes = _w(6 * 5, 3).reshape(6, 5)
    np.testing.assert_array_equal(pack(codes, 3), pack(codes.reshape(-1), 3))
    np.testing.assert_array_equal(pack(np.asfortranarray(codes), 3), pack(codes, 3))


def test_packed_codes_do_not_share_memory_with_their_source() -> None:
    codes = _w(16, 8)
    assert not np.shares_memory(pack(codes, 8), codes)
    packed = pack(codes, 8)
    assert not np.shares_memory(unpack(packed, 16, 8), packed)


@pytest.mark.parametrize("bits", [0, 9, 33, -1])
def test_other_widths_than_1_to_8_are_refused(bits: int) -> None:
    with pytest.raises(GraphError, match=rf"bits must be 1 to 8, got {bits}\."):
        pack(np.ones(3, np.int8), bits)
    with pytest.raises(GraphError, match=rf"bits must be 1 to 8, got {bits}\."):
        unpack(np.ones(3, np.uint8), 3, bits)


@pytest.mark.parametrize(
    ("codes", "bits", "grid", "message"),
    [
        ([1, 0, -1], 1, "symmetric", "codes of 1 bits must be -1 or \\+1, got -1 to 1 with even ones"),
        ([1, 3], 1, "symmetric", "codes of 1 bits must be -1 or \\+1, got 1 to 3\\."),
        ([2, 1], 2, "symmetric", "codes of 2 bits must be -1 to 1, got 1 to 2\\."),
        ([-8], 4, "symmetric", "codes of 4 bits must be -7 to 7, got -8 to -8\\."),
        ([-9], 4, "full", "codes of 4 bits must be -8 to 7, got -9 to -9\\."),
        ([3, 2, -1], 2, "odd", "codes of 2 bits must be -3 to 3, all odd, got -1 to 3 with even ones"),
        ([5, 1], 2, "odd", "codes of 2 bits must be -3 to 3, all odd, got 1 to 5\\."),
        ([-257, 1], 8, "odd", "codes of 8 bits must be -255 to 255, all odd, got -257 to 1\\."),
        ([0.5], 2, "symmetric", "codes of 2 bits must be -1 to 1"),
        ([1], 2, "even", "grid must be one of 'symmetric', 'odd', 'full', got 'even'"),
        ([1], 9, "odd", "bits must be 1 to 8, got 9"),
    ],
)
def test_codes_off_their_grid_are_refused(codes: list[float], bits: int, grid: str, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        stored(np.array(codes), bits, grid)


def test_w_that_needs_more_bits_is_refused() -> None:
    with pytest.raises(GraphError, match="w of 2 bits must be -2 to 1, got 0 to 2"):
        pack(np.array([0, 2], np.int8), 2)


@pytest.mark.parametrize(("count", "bits"), [(5, 1), (3, 3), (1, 7), (3, 5)])
def test_any_padding_bit_that_is_set_is_refused(count: int, bits: int) -> None:
    packed = pack(_w(count, bits), bits)
    for bit in range(count * bits % 8, 8):
        damaged = packed.copy()
        damaged[-1] |= 1 << bit
        with pytest.raises(ArtifactError, match="padding bits after the last code must be 0"):
            unpack(damaged, count, bits)


@pytest.mark.parametrize("length", [0, 1, 3])
def test_a_wrong_number_of_bytes_is_refused(length: int) -> None:
    with pytest.raises(ArtifactError, match=rf"9 codes of 1 bits take 2 bytes, got shape \({length},\)"):
        unpack(np.zeros(length, np.uint8), 9, 1)
