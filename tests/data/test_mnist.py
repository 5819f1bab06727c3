"""Digits, MNIST and Fashion-MNIST: what is read, and what is said where it cannot be."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from spikelet.base.errors import DataError
from spikelet.data import load, names
from spikelet.data.readers.mnist import DEBIAN_FASHION_MNIST
from tests.data.test_idx import idx_bytes

PIXELS = np.random.default_rng(0).integers(0, 256, (30, 28, 28)).astype(np.uint8)
TARGETS = (np.arange(30) % 10).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """20 training images, plain, and 10 test images, gzipped."""
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(PIXELS[:20]))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(TARGETS[:20]))
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(PIXELS[20:])))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(TARGETS[20:])))
    return tmp_path


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_four_files_are_read_plain_or_gzipped(name, folder):
    splits = load(name, root=folder, validation=0)
    assert torch.equal(splits.train.x, torch.from_numpy(PIXELS[:20, None]))
    assert torch.equal(splits.test.x, torch.from_numpy(PIXELS[20:, None]))
    assert splits.test.y.tolist() == TARGETS[20:].tolist()
    assert len(splits.validation) == 0
    assert splits.train.labels[9] == {"mnist": "9", "fashion-mnist": "ankle boot"}[name]


def test_a_folder_of_idx_files_is_recognised(folder):
    splits = load(folder, validation=0.5, image_size=32)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (10, 10, 10)
    assert splits.train.sample_shape == (1, 32, 32)
    assert splits.train.name == folder.name


def test_pixels_read_can_be_written_to(folder):
    splits = load(folder)
    splits.train.x[0] = 0
    splits.train.y[0] = 0


def test_a_missing_file_is_named(folder):
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no t10k-labels-idx1-ubyte, plain or .gz.*apt-get install"):
        load("mnist", root=folder)


def test_labels_of_another_length_are_refused(folder):
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(TARGETS[:19]))
    with pytest.raises(ValueError, match=r"do not fit: images \(20, 28, 28\) for labels \(19,\)"):
        load("mnist", root=folder)


def test_a_label_without_a_class_is_refused(folder):
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(TARGETS[:20] + 5))
    with pytest.raises(ValueError, match=r"train-labels-idx1-ubyte has the label 10; those of mnist are 0 to 9"):
        load("mnist", root=folder)


def test_debians_fashion_mnist_is_found_where_it_is_installed():
    if not DEBIAN_FASHION_MNIST.is_dir():
        pytest.skip("needs Debian's package dataset-fashion-mnist")
    splits = load("fashion-mnist")
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (54000, 6000, 10000)
    assert torch.bincount(splits.validation.y).tolist() == [600] * 10
    assert splits.train.labels[int(splits.test.y[0])] == "ankle boot"


def test_digits_are_read_from_no_folder(tmp_path):
    """The digits of another folder would be other digits than those that are read."""
    with pytest.raises(DataError, match="is read from no folder"):
        load("digits", root=tmp_path)


def test_digits_are_1797_images_of_64_bytes_with_a_fixed_test_set():
    pytest.importorskip("sklearn")
    splits, others = load("digits"), load("digits", seed=1, validation=0.3)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (1293, 145, 359)
    assert splits.train.sample_shape == (1, 8, 8)
    assert {int(splits.train.x.min()), int(splits.train.x.max())} == {0, 255}
    assert len(splits.train.x.unique()) == 17
    assert torch.equal(splits.test.x, others.test.x)
    assert splits.test.y[:12].tolist() == [5, 7, 4, 7, 5, 6, 8, 7, 8, 0, 6, 3]
    assert not torch.equal(splits.validation.y, others.validation.y[: len(splits.validation)])


def test_every_name_that_load_knows_is_in_its_error():
    with pytest.raises(FileNotFoundError, match="data set 'cifar-10' was not found") as raised:
        load("cifar-10")
    assert all(name in str(raised.value) for name in names())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name_or_path": "mnist"}, FileNotFoundError, "mnist needs root=, the folder it lies in"),
        (
            {"name_or_path": "mnist", "root": "nowhere"},
            FileNotFoundError,
            "mnist is not at 'nowhere': that folder does not exist",
        ),
        ({"name_or_path": "nmnist", "root": "."}, ValueError, "N-MNIST needs time_steps"),
        ({"name_or_path": "digits", "slicing": "time"}, ValueError, r"slicing must be one of \['count', 'duration'\]"),
        (
            {"name_or_path": "digits", "time_steps": 0},
            ValueError,
            "time_steps must be a whole number, 1 to 1024",
        ),
        ({"name_or_path": "./digits"}, FileNotFoundError, "data set './digits' was not found: it must be a folder"),
        (
            {"name_or_path": ".", "root": "x"},
            ValueError,
            "root goes with a name, and '.' is a folder already; got root='x'",
        ),
    ],
)
def test_what_cannot_be_loaded_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        load(**arguments)


@pytest.mark.parametrize(
    ("name", "module", "message"),
    [
        ("digits", "sklearn.datasets", r"the digits data set needs scikit-learn. .* pip install 'spikelet\[data\]'"),
        ("owner/name", "datasets", r"the data set owner/name needs datasets. .* pip install 'spikelet\[data\]'"),
    ],
)
def test_a_missing_library_is_named_with_the_extra_that_installs_it(name, module, message, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=message):
        load(name)
