"""What a data set claims is looked at before it is believed: sizes, kinds of files, members of zips, links."""

from __future__ import annotations

import gzip
import io
import os
import resource
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from spikelet.base.errors import DataError, DataWarning, FileRefused, SpikeletError
from spikelet.data import load
from spikelet.data.readers.idx import read_idx
from spikelet.data.readers.zips import MAX_LIST_BYTES
from tests.data.test_idx import idx_bytes
from tests.data.test_nmnist import FILES, _unpacked, _zip, recording

ZEROS = 256 << 20
pytestmark = pytest.mark.filterwarnings("ignore:.* set too, pixel for pixel")  # the small sets below repeat themselves


def test_a_gzip_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "bomb.gz", "wb") as file:
        file.write(struct.pack(">HBBI", 0, 8, 1, ZEROS))
        for _ in range(ZEROS >> 20):
            file.write(bytes(1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match=r"bomb.gz ends within its data: 268435456 bytes expected, \d+ found at most"):
        read_idx(tmp_path / "bomb.gz")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 << 10


def test_a_claim_is_compared_with_the_file_s_length_before_memory_is_taken(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(struct.pack(">HBBI", 0, 8, 1, 1 << 30))
    with pytest.raises(DataError, match=r"1073741824 bytes expected, 0 found at most in a file of its length"):
        read_idx(tmp_path / "short")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(FileRefused, match=r"sparse has 1099511627776 bytes, more than the"):
        read_idx(tmp_path / "sparse")


@pytest.mark.parametrize("shape", [(0, 2**32 - 1, 2**32 - 1), (2**32 - 1, 0)])
def test_an_empty_array_of_endless_axes_is_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape))
    with pytest.raises(DataError, match=r"claims .* bytes of shape"):
        read_idx(tmp_path / "empty")


@pytest.mark.parametrize("place", ["train-images-idx3-ubyte", "Train/0/00000.bin", "Train"])
def test_a_fifo_in_the_place_of_a_file_is_refused_at_once(place: str, tmp_path: Path) -> None:
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(tmp_path / place)
    for name in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", "train-labels-idx1-ubyte"):
        (tmp_path / name).write_bytes(idx_bytes(np.zeros((0,) * (3 if "3" in name else 1), np.uint8)))
    with pytest.raises((SpikeletError, FileNotFoundError), match=r"FIFO|has 0 bytes|has no recordings"):
        load("mnist" if "idx3" in place else "nmnist", root=tmp_path, time_steps=2)


def test_letters_are_classes_of_their_own(tmp_path: Path) -> None:
    x, y = np.zeros((26, 4, 4), np.uint8), np.arange(1, 27, dtype=np.uint8)
    for part in ("train", "test"):
        (tmp_path / f"emnist-letters-{part}-images-idx3-ubyte").write_bytes(idx_bytes(x))
        (tmp_path / f"emnist-letters-{part}-labels-idx1-ubyte").write_bytes(idx_bytes(y))
    for splits in (load(tmp_path, validation=0), load("idx", root=tmp_path, validation=0)):
        assert splits.train.labels == tuple(map(str, range(1, 27)))
        assert splits.test.y.tolist() == list(range(26))
    with pytest.raises(DataError, match=r"labels-idx1-ubyte has the label 10; those of mnist are 0 to 9"):
        load("mnist", root=tmp_path)


def test_a_few_digits_are_still_ten_classes(tmp_path: Path) -> None:
    for part in ("train", "t10k"):
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx_bytes(np.zeros((2, 4, 4), np.uint8)))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx_bytes(np.array([3, 7], np.uint8)))
    assert load(tmp_path, validation=0).train.labels == tuple("0123456789")


@pytest.mark.parametrize(
    "spelling", ["{}-{}.idx{}-ubyte", "{}-{}.idx{}-ubyte.gz", "{}_{}-idx{}.ubyte", "X-{}-{}-IDX{}-UBYTE"]
)
def test_mirrors_spell_the_four_files_in_other_ways(spelling: str, tmp_path: Path) -> None:
    pixels = np.arange(32, dtype=np.uint8).reshape(2, 4, 4)
    for part in ("train", "t10k"):
        for kind, axes, array in (("images", 3, pixels), ("labels", 1, np.array([3, 7], np.uint8))):
            path = tmp_path / spelling.format(part, kind, axes)
            path.write_bytes(gzip.compress(idx_bytes(array)) if path.suffix == ".gz" else idx_bytes(array))
    splits = load(tmp_path, validation=0)
    assert torch.equal(splits.test.x[:, 0], torch.from_numpy(pixels))
    assert splits.train.y.tolist() == [3, 7]


def test_two_files_for_one_place_are_refused_unless_one_is_the_other_gzipped(tmp_path: Path) -> None:
    for part in ("train", "t10k"):
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx_bytes(np.zeros((2, 4, 4), np.uint8)))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx_bytes(np.array([3, 7], np.uint8)))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(b"never read")
    assert len(load(tmp_path, validation=0).train) == 2
    (tmp_path / "train-labels.idx1-ubyte").write_bytes(idx_bytes(np.array([1, 2], np.uint8)))
    with pytest.raises(DataError, match=r"has 3 files of train labels: .*Put each set in a folder of its own"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"time_steps": 20_000}, "time_steps must be a whole number, 1 to 1024, got 20000"),
        ({"time_steps": 2.5}, "time_steps must be a whole number, 1 to 1024, got 2.5"),
        ({"time_steps": True}, "time_steps must be a whole number, 1 to 1024, got True"),
        ({"image_size": 0}, "image_size must be a whole number, 1 to 8192, got 0"),
        ({"image_size": 40_000}, "image_size must be a whole number, 1 to 8192, got 40000"),
        ({"image_size": "8"}, "image_size must be a whole number, 1 to 8192, got '8'"),
        ({"image_size": 8192}, "digits of 8192 x 8192 pixels would take 90 GiB of memory, more than the 16 GiB held"),
        ({"ground": "grey"}, "ground must be 'white', 'black' or a colour '#rrggbb', got 'grey'"),
    ],
)
def test_what_would_take_too_much_is_refused_before_it_is_read(arguments: dict, message: str) -> None:
    pytest.importorskip("sklearn")
    with pytest.raises(ValueError, match=message):
        load("digits", **arguments)


def test_an_argument_of_another_name_is_named() -> None:
    with pytest.raises(TypeError, match=r"load has no argument 'sides'; it takes root, validation, seed, time_steps, "):
        load("digits", sides=3)  # type: ignore[call-arg]


def _member(change: int, value: bytes) -> bytes:
    """A zip of one recording, with `value` at `change` bytes behind the start of both of its headers."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("Train/3/00017.bin", recording(0)[0])
    data = bytearray(out.getvalue())
    for start in (data.index(b"PK\3\4") + 6, data.index(b"PK\1\2") + 8):
        data[start + change : start + change + len(value)] = value
    return bytes(data)


@pytest.mark.parametrize(
    ("change", "value", "message"),
    [
        (0, b"\1\0", "is encrypted. Unpack it yourself"),
        (2, b"\x63\0", "is packed by method 99; stored and deflated ones are read"),
        (2, b"\x0c\0", "is packed by method 12; stored and deflated ones are read"),
        (8, b"\0\0\0\0", r"is damaged \(BadZipFile: Bad CRC-32"),
    ],
)
def test_a_member_that_can_t_be_unpacked_is_named(change: int, value: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "train.zip").write_bytes(_member(change, value))
    with pytest.raises(DataError, match=rf"train.zip: Train/3/00017.bin {message}"):
        load("nmnist", root=tmp_path, time_steps=2)


def test_a_zip_with_an_endless_list_of_members_is_not_opened(tmp_path: Path) -> None:
    _zip(tmp_path / "train.zip", {"Train/3/00017.bin": recording(0)[0]})
    data = bytearray((tmp_path / "train.zip").read_bytes())
    at = data.rindex(b"PK\5\6") + 12
    data[at : at + 4] = struct.pack("<I", MAX_LIST_BYTES + 1)
    (tmp_path / "train.zip").write_bytes(data)
    with pytest.raises(
        DataError, match=r"train.zip is damaged, or no such set: its list of members has 16777217 bytes"
    ):
        load("nmnist", root=tmp_path, time_steps=2)


def test_the_frames_of_all_recordings_are_counted_before_they_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spikelet.data.readers.room.MAX_BYTES", 1 << 20)
    with pytest.raises(DataError, match=r"N-MNIST's train set in 100 frames would take 0 GiB of memory"):
        load("nmnist", root=_unpacked(tmp_path), time_steps=100)


def test_capitals_of_the_parts_do_not_matter_unless_they_make_two(tmp_path: Path) -> None:
    (_unpacked(tmp_path) / "Train").rename(tmp_path / "train")
    assert len(load(tmp_path, time_steps=2, validation=0).train) == 7
    (tmp_path / "TRAIN").mkdir()
    with pytest.raises(DataError, match=r"has both TRAIN and train. Keep one of them"):
        load("nmnist", root=tmp_path, time_steps=2)


def test_what_is_no_recording_is_named(tmp_path: Path) -> None:
    for name in ("Train/10/00000.bin", "Train/notes.txt", "Train/1/.DS_Store"):
        (_unpacked(tmp_path) / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"12345")
    with pytest.warns(DataWarning, match=r"Train: '1/.DS_Store', '10', '10/00000.bin' and 1 more left out"):
        load("nmnist", root=tmp_path, time_steps=2)
    (tmp_path / "zipped").mkdir()
    train = {name: data for name, (data, _) in FILES.items() if name.startswith("Train")}
    _zip(tmp_path / "zipped" / "train.zip", {"Train/": b"", "Train/0/": b"", **train, "Train/notes.txt": b""})
    with pytest.warns(DataWarning, match=r"train.zip: 'Train/notes.txt' left out"):
        load("nmnist", root=tmp_path / "zipped", time_steps=2)


def test_a_link_out_of_the_folder_is_no_recording(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(200))
    root = _unpacked(tmp_path / "set")
    (root / "Train/0/00099.bin").symlink_to(tmp_path / "secret")
    with pytest.raises(DataError, match=r"00099.bin is a link to a file outside .*/set/Train. Put the file"):
        load("nmnist", root=root, time_steps=2)
