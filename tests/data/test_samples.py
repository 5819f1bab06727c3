"""The form of a data set, and the part of it that is held out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Subset

from spikelet.base.errors import TimeAxisError
from spikelet.data import DataSplits, Samples, batches, stratified_split
from spikelet.data.readers.crop import crop
from spikelet.data.split import hold_out
from tests.data.catalogue import events, images

LABELS = ("cat", "dog", "ship")


def _samples(n: int = 12) -> Samples:
    return Samples(images(n), torch.arange(n) % 3, LABELS, "made up", "random bytes")


@settings(max_examples=40)
@given(st.lists(st.integers(0, 4), max_size=80), st.floats(0, 0.99), st.integers(0, 9))
def test_kept_and_held_are_disjoint_and_together_everything(labels, fraction, seed):
    kept, held = stratified_split(torch.tensor(labels, dtype=torch.int64), fraction, seed)
    assert sorted(kept.tolist() + held.tolist()) == list(range(len(labels)))


@settings(max_examples=40)
@given(st.lists(st.integers(0, 4), max_size=80), st.floats(0, 0.99), st.integers(0, 9))
def test_every_class_is_held_out_in_its_proportion_and_never_whole(labels, fraction, seed):
    y = torch.tensor(labels, dtype=torch.int64)
    kept, held = stratified_split(y, fraction, seed)
    for c in set(labels):
        count, taken = int((y == c).sum()), int((y[held] == c).sum())
        assert taken == min(int(fraction * count + 0.5), count - 1)
        assert int((y[kept] == c).sum()) >= 1


def test_a_split_is_a_function_of_its_seed():
    y = torch.arange(300) % 3
    assert torch.equal(stratified_split(y, 0.1, 5)[1], stratified_split(y, 0.1, 5)[1])
    assert not torch.equal(stratified_split(y, 0.1, 5)[1], stratified_split(y, 0.1, 6)[1])


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_a_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(ValueError, match=r"validation must lie in \[0, 1\), got .*\(0.1 holds out a tenth"):
        stratified_split(torch.arange(3), fraction, 0)


def test_a_validation_split_that_exists_is_left_as_it_is():
    own = DataSplits(_samples(9), _samples(3), _samples(6))
    assert hold_out(own, 0.5, 0) is own
    empty = _samples().subset(torch.arange(0))
    assert len(hold_out(DataSplits(_samples(9), empty, _samples(6)), 0.3, 0).validation) == 3


def test_a_data_set_indexes_like_any_torch_dataset():
    data = _samples()
    x, y = data[4]
    assert len(data) == 12
    assert torch.equal(x, images()[4])
    assert y == 1
    assert data.sample_shape == (3, 17, 14)


def test_numpy_arrays_are_taken_as_they_lie():
    x, y = images(n=12).numpy(), np.arange(12) % 3
    backwards, read_only = x[::-1], x.copy()
    read_only.flags.writeable = False
    for array in (x, backwards, read_only):
        made = Samples(array, y, list(LABELS), "made up")
        assert torch.equal(made.batch(torch.arange(12))[0], torch.from_numpy(array.copy()))
        assert (made.y.tolist(), made.labels) == (y.tolist(), LABELS)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (
            images().float().numpy(),
            torch.arange(12),
            r"Samples\.x must be a tensor or a NumPy array of uint8, got an array",
        ),
        (
            images(),
            np.arange(12, dtype=">i8"),
            r"Samples\.y must be a tensor or a NumPy array of int64, got an array of >i8",
        ),
        (images(), list(range(12)), r"Samples\.y must be a tensor or a NumPy array of int64, got list"),
        (
            images(),
            np.arange(12, dtype=np.int32),
            r"got an array of int32\. .*: np\.asarray\(y, np\.int64\), or y\.long",
        ),
    ],
)
def test_what_is_no_tensor_or_array_of_its_type_is_refused_by_name(x, y, message: str):
    with pytest.raises(TypeError, match=message):
        Samples(x, y, LABELS, "bad")


def test_indices_of_numpy_are_taken():
    samples, indices = _samples(), np.array([3, 0, 5])
    for x, expected in zip(samples.batch(indices), samples.batch(torch.from_numpy(indices)), strict=True):
        assert torch.equal(x, expected)
    assert torch.equal(samples.subset(indices).x, samples.batch(indices)[0])


def test_a_subset_keeps_samples_with_their_labels():
    part = _samples().subset(torch.tensor([7, 2]))
    assert torch.equal(part.x, images()[[7, 2]])
    assert part.y.tolist() == [1, 2]
    assert (part.labels, part.name, part.note) == (LABELS, "made up", "random bytes")


@pytest.mark.parametrize("made", [images, events])
def test_a_data_loader_gives_the_batches_of_the_data(made: Callable[..., torch.Tensor]):
    x = made(n=12)
    data = Samples(x if made is images else x.transpose(0, 1).contiguous(), torch.arange(12) % 3, LABELS, "made up")
    assert data.time_axis == (None if made is images else 0)
    loader = DataLoader(data, batch_size=5, collate_fn=data.collate)  # type: ignore[arg-type]
    for (x, y), (expected, labels) in zip(loader, batches(data, 5), strict=True):
        assert torch.equal(x, expected)
        assert torch.equal(y, labels)


def test_a_data_loader_without_our_collate_function_is_refused_for_events():
    _refused_without_our_collate_function(workers=0)


def test_workers_of_a_data_loader_refuse_events_too():
    """In a process of its own: queues of workers close in threads that outlive a test, and one found its file closed
    twice in a process that had run a thousand other tests."""
    here = f"from {__name__} import _refused_without_our_collate_function as refused; refused(workers=2)"
    subprocess.run([sys.executable, "-c", here], check=True, cwd=Path(__file__).parents[2], timeout=300)


def _refused_without_our_collate_function(workers: int) -> None:
    data = Samples(events(n=5).transpose(0, 1).contiguous(), torch.arange(5) % 3, LABELS, "made up")
    for dataset in (data, Subset(data, range(4))):
        loader = DataLoader(dataset, batch_size=4, num_workers=workers)  # type: ignore[arg-type]
        with pytest.raises(TimeAxisError, match=r"Pass collate_fn=data\.collate, whose batches are \[T, B, C, H, W\]"):
            next(iter(loader))
    taken = DataLoader(Subset(data, range(4)), batch_size=4, num_workers=workers, collate_fn=data.collate)  # type: ignore[arg-type]
    assert torch.equal(next(iter(taken))[0], data.batch(torch.arange(4))[0])


def test_a_note_is_said_with_the_data():
    splits = DataSplits(_samples(), _samples(), _samples()).map(lambda part: part.subset(torch.arange(2)))
    assert {part.note for part in (splits.train, splits.validation, splits.test)} == {"random bytes"}
    assert repr(splits.test) == "Samples(made up, random bytes: 2 x [3, 17, 14] uint8, 3 classes)"


@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (
            images().float(),
            torch.arange(12),
            TypeError,
            r"x must be of torch\.uint8, got .*float32\. .* \(255 \* x\)",
        ),
        (
            images(),
            torch.arange(12).int(),
            TypeError,
            r"y must be of torch\.int64, got .*int32\. .* or y\.long",
        ),
        (images()[0], torch.arange(3), ValueError, r"must be images .* got shape \(3, 17, 14\)"),
        (images(), torch.zeros(11, dtype=torch.int64), ValueError, r"one label a sample, got x \(12, .* y \(11,\)"),
        (images(), torch.arange(12), ValueError, "must lie in 0 .. 2, got 3"),
        (images(2), torch.tensor([0, -1]), ValueError, r"must lie in 0 .. 2, got -1. \(-1 is how"),
    ],
)
def test_parts_that_do_not_fit_are_refused(x, y, error, message):
    with pytest.raises(error, match=message):
        Samples(x, y, LABELS, "bad")


@pytest.mark.parametrize("side", [1, 8, 14, 15, 17, 20])
def test_fitting_cuts_or_pads_about_the_centre(side):
    data = Samples(images(), torch.zeros(12, dtype=torch.int64), LABELS, "made up")
    x = crop(data, side).x
    assert x.shape == (12, 3, side, side)
    top, left = (side - 17) // 2, (side - 14) // 2
    for i in range(side):
        for j in range(side):
            inside = 0 <= i - top < 17 and 0 <= j - left < 14
            expected = images()[:, :, i - top, j - left] if inside else torch.zeros(12, 3, dtype=torch.uint8)
            assert torch.equal(x[:, :, i, j], expected)


def test_fitting_to_nothing_is_refused():
    with pytest.raises(ValueError, match="image_size must be a positive number of pixels, got 0"):
        crop(_samples(), 0)
