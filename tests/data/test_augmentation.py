"""What each augmentation does to the pixels."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from spikelet.data import (
    Compose,
    Cutout,
    DropFrames,
    HorizontalFlip,
    OneOf,
    RandomCrop,
    Roll,
    Rotate,
    ShearX,
    TimeShift,
    TrivialAugment,
)
from spikelet.data.augment.warp import roll, shear_matrix, shift_matrix, translate, turn_matrix, warp
from tests.data.catalogue import events, images, seeded

NOTHING = (RandomCrop(0), HorizontalFlip(0), Roll(0), Rotate(0), ShearX(0), Cutout(0), Compose(()))


@pytest.mark.parametrize("augmentation", NOTHING, ids=str)
def test_no_strength_changes_nothing(augmentation):
    assert torch.equal(augmentation(images(), seeded()), images())


@pytest.mark.parametrize("augmentation", [*NOTHING, TimeShift(0), DropFrames(0)], ids=str)
def test_no_strength_changes_no_event(augmentation):
    assert torch.equal(augmentation(events(), seeded()), events())


def test_a_crop_is_a_window_of_the_padded_image():
    x, y = images(), RandomCrop(3)(images(), seeded())
    padded = F.pad(x, (3, 3, 3, 3))
    height, width = x.shape[-2:]
    for b in range(len(x)):
        windows = [padded[b, :, i : i + height, j : j + width] for i in range(7) for j in range(7)]
        assert sum(torch.equal(y[b], window) for window in windows) == 1


def test_every_offset_of_a_crop_occurs():
    y = RandomCrop(1)(images(1).expand(300, -1, -1, -1), seeded())
    assert len(torch.unique(y, dim=0)) == 9


def test_translation_moves_right_and_down_and_brings_in_zeros():
    x = images(2)
    y = translate(x, torch.tensor([2, -20]), torch.tensor([-3, 0]))
    assert torch.equal(y[0, :, :-3, 2:], x[0, :, 3:, :-2])
    assert y[0, :, -3:].sum() == y[0, :, :, :2].sum() == y[1].sum() == 0


@pytest.mark.parametrize("shift", [(0, 0), (3, -2), (-30, 1), (5, 40)])
def test_translation_is_the_warp_of_its_matrix(shift):
    x = images(4)
    dx, dy = (torch.full((4,), d) for d in shift)
    assert torch.equal(translate(x, dx, dy), warp(x, shift_matrix(dx.float(), dy.float())))


def test_roll_is_torch_roll_of_each_sample():
    x = events()
    dx, dy = torch.arange(12) - 6, 20 - 3 * torch.arange(12)
    y = roll(x, dx, dy)
    for b in range(12):
        assert torch.equal(y[:, b], torch.roll(x[:, b], (int(dy[b]), int(dx[b])), (-2, -1)))


def test_roll_loses_no_event():
    assert torch.equal(Roll(5)(events(), seeded()).sum((2, 3, 4)), events().sum((2, 3, 4)))


def test_a_flip_exchanges_left_and_right_of_about_the_share_asked_for():
    assert torch.equal(HorizontalFlip(1)(images(), seeded()), images().flip(-1))
    x = images(1).expand(1000, -1, -1, -1)
    flipped = (HorizontalFlip(0.3)(x, seeded()) == x.flip(-1)).flatten(1).all(1)
    assert 250 < flipped.sum() < 350


@pytest.mark.parametrize("quarters", [1, 2, 3, 4])
def test_quarter_turns_are_exact_and_counter_clockwise(quarters):
    x = images(3, height=16, width=16)
    y = warp(x, turn_matrix(torch.full((3,), 90.0 * quarters)))
    assert torch.equal(y, torch.rot90(x, quarters, (-2, -1)))


def test_shear_slides_each_row_by_its_distance_from_the_centre():
    x = images(1, height=5, width=9)
    y = warp(x, shear_matrix(torch.tensor([1.0]), torch.tensor([0.0])))
    for i, shift in enumerate((-2, -1, 0, 1, 2)):
        row = torch.roll(x[..., i, :], shift, -1)
        inside = slice(max(shift, 0), 9 + min(shift, 0))
        assert torch.equal(y[..., i, inside], row[..., inside])
        assert int((y[..., i, :] == 0).sum()) == 3 * abs(shift)


@pytest.mark.parametrize("augmentation", [RandomCrop(6), Rotate(180), ShearX(60)], ids=str)
def test_moving_pixels_invents_no_value(augmentation):
    known = set(events().unique().tolist()) | {0}
    assert set(augmentation(events(), seeded()).unique().tolist()) <= known


def test_cutout_hides_one_square_in_every_channel():
    x, y = images(40), Cutout(6, fill=0)(images(40), seeded())
    hidden = (y == 0).all(1)
    assert torch.equal(y, torch.where(hidden.unsqueeze(1), 0, x))
    for hole in hidden:
        rows, columns = hole.any(1), hole.any(0)
        assert torch.equal(hole, rows.unsqueeze(1) & columns)
        assert 3 <= rows.sum() <= 6
        assert 3 <= columns.sum() <= 6
        assert rows.int().diff().abs().sum() <= 2  # one run of rows


def test_cutout_draws_its_side_between_the_two_bounds():
    x = images(1, height=60, width=60).expand(300, -1, -1, -1)
    sides = (Cutout(4, smallest=2)(x, seeded()) == 0).any(1).any(1).sum(1)
    assert set(sides.tolist()) >= {2, 3, 4}
    assert sides.max() == 4


def test_cutout_fills_with_the_byte_asked_for():
    y = Cutout(30, fill=0)(images(), seeded()), Cutout(30, fill=7)(images(), seeded())
    assert torch.equal(y[1], torch.where(y[0] == 0, 7, y[0]))


def test_a_time_shift_moves_frames_and_leaves_empty_ones():
    x, y = events(), TimeShift(2)(events(), seeded())
    for b in range(12):
        shifted = [
            torch.cat((x.new_zeros(5, *x.shape[2:]), x[:, b], x.new_zeros(5, *x.shape[2:])))[5 - s :][:5]
            for s in range(-2, 3)
        ]
        assert sum(torch.equal(y[:, b], moved) for moved in shifted) == 1


def test_a_time_shift_beyond_the_recording_empties_it():
    y = TimeShift(1000)(events(), seeded())
    assert (y.flatten(2).sum(2) == 0).float().mean() > 0.9


def test_dropped_frames_are_empty_and_the_others_untouched():
    x, y = events(50), DropFrames(0.3)(events(50), seeded())
    dropped = (y == 0).flatten(2).all(2)
    assert torch.equal(y, x * ~dropped.view(50, 12, 1, 1, 1))
    assert 0.25 < dropped.float().mean() < 0.35


def test_one_of_gives_each_sample_to_exactly_one_part():
    x = images(200)
    y = OneOf((HorizontalFlip(1), HorizontalFlip(0)))(x, seeded())
    flipped = (y == x.flip(-1)).flatten(1).all(1)
    assert torch.equal(y, torch.where(flipped.view(-1, 1, 1, 1), x.flip(-1), x))
    assert 70 < flipped.sum() < 130


def test_compose_applies_its_parts_in_order():
    x = images()
    draw = seeded()
    expected = Roll(3)(Cutout(4)(x, draw), draw)
    assert torch.equal(Compose((Cutout(4), Roll(3)))(x, seeded()), expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomCrop(-1), "RandomCrop.padding must not be negative, got -1"),
        (lambda: HorizontalFlip(1.5), r"HorizontalFlip.p must lie in \[0, 1\], got 1.5"),
        (lambda: Roll(-2), "Roll.pixels must not be negative, got -2"),
        (lambda: Rotate(-1), "Rotate.degrees must not be negative, got -1"),
        (lambda: ShearX(90), r"ShearX.degrees must lie in \[0, 90\), got 90"),
        (lambda: Cutout(-3), "Cutout.size must not be negative, got -3"),
        (lambda: Cutout(3, smallest=4), "Cutout.smallest must lie in 0 .. size = 3, got 4"),
        (lambda: Cutout(3, fill=256), "Cutout.fill must be a byte, got 256"),
        (lambda: TimeShift(-1), "TimeShift.steps must not be negative, got -1"),
        (lambda: DropFrames(-0.1), r"DropFrames.p must lie in \[0, 1\], got -0.1"),
        (lambda: TrivialAugment(2), r"TrivialAugment.strength must lie in \[0, 1\], got 2"),
        (lambda: OneOf(()), "OneOf.parts must hold at least one augmentation, got none"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
