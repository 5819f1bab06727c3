"""A data set is one reader and one line in the table."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from spikelet.base.errors import DataWarning
from spikelet.data import DataSplits, Samples, load, names
from spikelet.data.readers import READERS
from spikelet.data.readers.reader import Reader, Request


def toy(request: Request) -> DataSplits:
    """Twenty images, no two alike, whose first byte is the side that was asked for."""
    x = torch.full((20, 1, 2, 2), request.image_size or 0, dtype=torch.uint8)
    x[:, 0, 1, 1] = torch.arange(20)
    everything = Samples(x, torch.arange(20) % 2, ("a", "b"), request.name)
    nothing = everything.subset(torch.arange(0))
    return DataSplits(everything, nothing, nothing)


def test_a_new_data_set_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(READERS, "toy", Reader("a toy", toy, lambda folder: (folder / "toy").exists()))
    assert names()[-1] == "toy"
    splits = load("toy", image_size=7, validation=0.2)
    assert (len(splits.train), len(splits.validation), splits.train.name) == (16, 4, "toy")
    assert set(splits.train.x[:, 0, 0, 0].tolist()) == {7}
    (tmp_path / "toy").touch()
    assert load(tmp_path).train.name == tmp_path.name
    with pytest.raises(FileNotFoundError, match=r"toy +a toy"):
        load("no such set")


def test_a_reader_s_folder_must_be_there(tmp_path: Path) -> None:
    request = Request("toy", "a toy")
    with pytest.raises(FileNotFoundError, match=r"toy needs root=, the folder it lies in\. \(toy: a toy\.\)"):
        request.folder()
    assert request.folder(tmp_path) == tmp_path
    with pytest.raises(FileNotFoundError, match="that folder does not exist, or may not"):
        request.folder(tmp_path / "lost")


@pytest.mark.parametrize("name", ["", " ", "a" * 5000, "~nobody-of-this-name/x", "a\0b"])
def test_a_name_that_is_no_path_is_not_found(name: str) -> None:
    with pytest.raises(FileNotFoundError, match=r"data set '.*' was not found: it must be a folder") as error:
        load(name)
    assert len(str(error.value)) < 2000
    with pytest.raises(FileNotFoundError, match="that folder does not exist, or may not be looked into"):
        load("mnist", root=name.strip() or "nowhere")


def test_pictures_beside_the_files_of_a_known_set_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(READERS, "toy", Reader("a toy", toy, lambda folder: (folder / "toy").exists()))
    (tmp_path / "ant").mkdir()
    for name in ("toy", "ant/1.PNG", "ant/.2.png", "data.parquet", "notes.txt"):
        (tmp_path / name).touch()
    with pytest.warns(DataWarning, match=r"beside the files .* are left out: 'ant/1.PNG', 'data.parquet'\."):
        load(tmp_path)
