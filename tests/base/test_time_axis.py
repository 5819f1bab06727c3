"""The time axis is declared: shapes are split as the caller says, and refused where they can't be."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from spikelet.base.errors import SpikeletError, TimeAxisError
from spikelet.base.time_axis import batch_axis, check_time_axis, join_shape, require_agreement, split_shape


@pytest.mark.parametrize("time_axis", [None, 0, 1])
@pytest.mark.parametrize(("steps", "batch"), [*itertools.product((1, 2, 4), repeat=2)])
@pytest.mark.parametrize("sample", [(), (7,), (3, 8, 8), (1, 1, 1), (1, 2, 3, 4)])
def test_a_shape_is_split_as_declared_whatever_its_extents(
    time_axis: int | None, steps: int, batch: int, sample: tuple[int, ...]
) -> None:
    shape = join_shape(steps, batch, sample, time_axis)
    assert split_shape(shape, time_axis, sample_axes=len(sample)) == (
        steps if time_axis is not None else 1,
        batch,
        sample,
    )
    assert shape[batch_axis(time_axis)] == batch


@pytest.mark.parametrize("wrong", [2, -1, True, False, "0", 0.5, (0,)])
def test_a_time_axis_is_none_or_0_or_1(wrong: object) -> None:
    for use in (
        lambda: check_time_axis(wrong),  # type: ignore[arg-type]
        lambda: split_shape((1, 2, 3), wrong),  # type: ignore[arg-type]
        lambda: join_shape(1, 2, (3,), wrong),  # type: ignore[arg-type]
    ):
        with pytest.raises(TimeAxisError, match="time_axis must be None, 0 or 1, got"):
            use()


@pytest.mark.parametrize(
    ("shape", "time_axis", "said"),
    [
        ((4, 2, 3, 8, 8), None, r"x has 5 axes.*must be \[B, \.\.\.\], of 4 axes\. Pass time_axis=0 for frames"),
        ((2, 3, 8, 8), 0, r"x has 4 axes.*must be \[T, B, \.\.\.\], of 5 axes\. Pass time_axis=1 if it is \[B, T"),
        ((2, 3, 8, 8), 1, r"x has 4 axes.*must be \[B, T, \.\.\.\], of 5 axes\. Pass time_axis=0 if it is \[T, B"),
        ((1, 2, 3, 8, 8), 0, r"x has 1 time steps.*the neurons have time_steps=4"),
        (
            (4, 2, 3, 8, 8),
            1,
            r"x has 2 time steps, shape \(4, 2, 3, 8, 8\) being \[B, T, .*time_steps=4\. Pass time",
        ),
    ],
)
def test_a_batch_of_another_layout_is_refused_with_the_way_out(
    shape: tuple[int, ...], time_axis: int | None, said: str
) -> None:
    with pytest.raises(SpikeletError, match=said):
        split_shape(shape, time_axis, time_steps=4, sample_axes=3)


def test_one_frame_is_no_still_image() -> None:
    """An extent of 1 decides nothing: the same shape is a batch of five-axis samples, or one frame."""
    assert split_shape((1, 2, 3, 8, 8), 0) == (1, 2, (3, 8, 8))
    assert split_shape((1, 2, 3, 8, 8), 1) == (2, 1, (3, 8, 8))
    assert split_shape((1, 2, 3, 8, 8), None) == (1, 1, (2, 3, 8, 8))


def test_a_time_axis_of_numpy_is_the_axis_that_it_is() -> None:
    for axis in (0, 1):
        assert split_shape((2, 3, 4), np.int64(axis)) == split_shape((2, 3, 4), axis)
        assert join_shape(2, 3, (4,), np.int64(axis)) == join_shape(2, 3, (4,), axis)
        assert batch_axis(np.int64(axis)) == batch_axis(axis)
        require_agreement(SimpleNamespace(time_axis=axis), np.int64(axis), "data")


def test_a_batch_without_axes_is_refused() -> None:
    with pytest.raises(TimeAxisError, match=r"frames has 1 axes.*must be \[T, B, \.\.\.\], of more axes"):
        split_shape((5,), 0, what="frames")
    with pytest.raises(TimeAxisError, match="x has 0 axes"):
        split_shape((), None)


@pytest.mark.parametrize(("declared", "given"), [(None, 1), (0, 1), (1, 0), (1, None)])
def test_a_model_and_its_data_must_agree_on_what_is_batch_first(declared: int | None, given: int | None) -> None:
    model = SimpleNamespace(time_axis=declared)
    with pytest.raises(TimeAxisError, match=rf"model declares time_axis={declared}.* and toys time_axis={given}"):
        require_agreement(model, given, "toys")


@pytest.mark.parametrize(("declared", "given"), [(None, None), (0, 0), (1, 1), (None, 0), (0, None)])
def test_images_and_time_first_frames_agree(declared: int | None, given: int | None) -> None:
    require_agreement(SimpleNamespace(time_axis=declared), given, "toys")
    require_agreement(object(), given, "toys")
