"""Signals in .npz files: the grid, groups that stay together, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spikelet.base.errors import DataError
from spikelet.data import load
from spikelet.data.augment.sensors import Turn
from spikelet.data.readers.hapt import ACTIVITIES
from spikelet.data.readers.signals import runs, to_bytes, usual_reach


def saved(folder: Path, **arrays: Any) -> str:
    """An .npz file of 12 windows of 5 samples of 2 channels by 4 people, with these arrays in the place of its own."""
    x = np.arange(12 * 5 * 2, dtype=np.float32).reshape(12, 5, 2) - 60
    own: dict[str, Any] = {"x": x, "y": np.array(["up", "down"] * 6), "group": np.repeat([7, 8, 9, 11], 3)}
    path = folder / "mine.npz"
    np.savez(path, **{name: value for name, value in (own | arrays).items() if value is not None})
    return str(path)


def test_the_grid_rounds_half_up_clips_and_takes_roots() -> None:
    x = np.array([[-4.0, -4.0], [-1 / 128, -1.0], [0.0, 0.0], [1 / 128, 0.25], [2.0, 4.0], [9.0, 9.0]])
    found = to_bytes(x, np.array([2.0, 4.0]), np.array([False, True]))
    assert found[:, 0].tolist() == [0, 128, 128, 129, 255, 255]
    assert found[:, 1].tolist() == [0, 64, 128, 160, 255, 255]


def test_the_usual_reach_is_the_power_of_two_that_holds_nearly_all() -> None:
    x = np.stack([np.linspace(-1.5, 1.5, 5000), np.linspace(0, 0.1, 5000)], 1)
    x[0] = 1000
    assert usual_reach(x).tolist() == [2.0, 0.125]


def test_runs_are_stretches_of_equal_labels() -> None:
    assert runs([3, 3, 1, 3]) == [(0, 2), (2, 3), (3, 4)]


def test_windows_are_time_first_and_groups_are_held_out_whole(tmp_path: Path) -> None:
    data = load(saved(tmp_path), validation=0.3)
    assert data.train.sample_shape == (5, 2, 1, 1)
    assert data.train.labels == ("down", "up")
    assert data.train.groups is not None
    assert data.validation.groups is not None
    held = set(data.validation.groups.tolist())
    assert (len(data.validation), len(held)) == (6, 2)
    assert not held & set(data.train.groups.tolist())


def test_splits_are_taken_as_they_are_and_bytes_too(tmp_path: Path) -> None:
    x = np.arange(12 * 5 * 2, dtype=np.uint8).reshape(12, 5, 2)
    data = load(saved(tmp_path, x=x, split=np.repeat(["train", "val", "test"], [6, 3, 3])))
    assert [len(part) for part in (data.train, data.validation, data.test)] == [6, 3, 3]
    assert torch.equal(data.test.x[..., 0, 0], torch.from_numpy(x[9:]))
    signed = load(saved(tmp_path, x=(x.astype(np.int16) - 128).astype(np.int8)), validation=0.0)
    assert torch.equal(signed.train.x[..., 0, 0], torch.from_numpy(x))


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no windows": ({"x": np.zeros((12, 5))}, r"x must be windows \[N, T, C\] of numbers.* got float64 \(12, 5\)"),
    "no labels": ({"y": None}, r"has no array 'y'"),
    "a person in two splits": ({"split": np.array(["train", "test"] * 6)}, r"a group must be in one split, and '7'"),
    "another split": ({"split": np.array(["mine"] * 12)}, r"split must be train, validation or test .* got 'mine'"),
    "a group for some": ({"group": np.zeros(3, np.int64)}, r"group must be one .* for each of the 12 windows"),
    "no number": ({"x": np.full((12, 5, 2), np.nan)}, r"x has values that are no numbers"),
    "no reach": ({"reach": np.array([1.0, 0.0])}, r"reach must be above 0, got 0"),
    "objects": ({"y": np.array([None] * 12)}, r"can't be read as an .npz file of plain arrays"),
}


@pytest.mark.parametrize(("arrays", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_is_said(arrays: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        load(saved(tmp_path, **arrays))


def test_a_file_that_is_no_npz_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(DataError, match=r"broken.npz can't be read as an .npz file"):
        load(str(tmp_path / "broken.npz"))


def test_hapt_cuts_windows_within_an_activity_and_tests_on_ucis_people(tmp_path: Path) -> None:
    label = np.repeat([5, -1, 1, 7, 6], [10, 3, 8, 6, 5]).astype(np.int8)
    signal = np.linspace(-3, 3, 2 * 32 * 6, dtype=np.float32).reshape(64, 6)
    np.savez(tmp_path / "hapt.npz", signal=signal, label=np.tile(label, 2), offset=[0, 32, 64], user=[1, 2])
    data = load("hapt", root=tmp_path, time_steps=4, validation=0.0)
    assert (len(data.train), len(data.test)) == (8, 8)
    assert [ACTIVITIES[k] for k in data.train.y.tolist()] == ["standing"] * 4 + ["walking"] * 3 + ["laying"]
    assert data.test.groups is not None
    assert set(data.test.groups.tolist()) == {2}
    with pytest.raises(ValueError, match=r"HAPT needs time_steps"):
        load("hapt", root=tmp_path)


def test_a_turn_keeps_rest_at_rest_and_the_length_of_what_is_felt() -> None:
    x = torch.full((3, 50, 6, 1, 1), 128, dtype=torch.uint8)
    x[:, :, 3] = 228
    y = Turn(0.5, 0.5, scale=0.0)(x, torch.Generator().manual_seed(0))
    assert (y[:, :, :3] == 128).all()
    felt = y[:, :, 3:, 0, 0].float() - 128
    assert (felt.norm(dim=2) - 100).abs().max() < 1.5
    assert len(felt[0].unique(dim=0)) > 40
    with pytest.raises(ValueError, match=r"sensors of three axes"):
        Turn()(x[:, :, :4], torch.Generator())
