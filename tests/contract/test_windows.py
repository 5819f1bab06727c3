"""Windows of a map and back, and positions by number."""

from __future__ import annotations

import pytest
import torch

from spikelet.nn import Gather, merged, shift_mask, windows


def test_windows_are_the_squares_row_by_row():
    x = torch.arange(24.0).view(1, 1, 1, 4, 6)
    y = windows(x, 2)
    assert y.shape == (1, 1, 1, 6, 4)
    assert y[0, 0, 0, 0].tolist() == [0, 1, 6, 7]
    assert y[0, 0, 0, 1].tolist() == [2, 3, 8, 9]
    assert y[0, 0, 0, 3].tolist() == [12, 13, 18, 19]


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_merging_undoes_windows(shift: int):
    x = torch.randn(2, 3, 4, 8, 4)
    assert torch.equal(merged(windows(x, 4, shift), 4, (8, 4), shift), x)


def test_shifted_windows_begin_further_and_go_round():
    x = torch.arange(16.0).view(1, 1, 1, 4, 4)
    assert windows(x, 2, 1)[0, 0, 0, 0].tolist() == [5, 6, 9, 10]
    assert windows(x, 2, 1)[0, 0, 0, 3].tolist() == [15, 12, 3, 0]


def test_the_mask_of_a_shift_keeps_what_the_edge_did_not_bring_together():
    size, shift, shape = 4, 2, (8, 12)
    rows = torch.arange(shape[0]).view(-1, 1).expand(shape).float()
    columns = torch.arange(shape[1]).expand(shape).float()
    mask = shift_mask(size, shift, shape)
    assert mask.shape == (6, 16, 16)
    r, c = (windows(v[None, None, None], size, shift)[0, 0, 0] for v in (rows, columns))
    near = ((r[:, :, None] - r[:, None]).abs() < size) & ((c[:, :, None] - c[:, None]).abs() < size)
    assert torch.equal(mask, near)
    assert shift_mask(size, 0, shape).all()


@pytest.mark.parametrize("shape", [(1, 1, 1, 6, 4), (1, 1, 1, 4, 6), (1, 1, 4, 4)])
def test_maps_that_do_not_fall_into_windows_are_refused(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match=r"windows of 4 x 4 take \[T, B, C, H, W\] with H and W multiples of 4"):
        windows(torch.zeros(shape), 4)


def test_gathered_positions_come_by_number_and_minus_1_is_zero():
    x = torch.arange(12.0).view(1, 1, 2, 2, 3)
    y = Gather([5, -1, 0, 0], (2, 2))(x)
    assert y[0, 0, 0].tolist() == [[5, 0], [0, 0]]
    assert y[0, 0, 1].tolist() == [[11, 0], [6, 6]]


def test_positions_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match=r"Gather\.index must list 2 x 2 positions from 0 on, .* got 3"):
        Gather([0, 1, 2], (2, 2))
    with pytest.raises(ValueError, match=r"smallest of -2"):
        Gather([0, -2], (1, 2))
    with pytest.raises(ValueError, match=r"Gather of positions up to 4 takes .* with more of them"):
        Gather([4], (1, 1))(torch.zeros(1, 1, 1, 2, 2))
