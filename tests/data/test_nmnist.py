"""N-MNIST: recordings from a folder or a zip, partial sets, and files that are not what they should be."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from spikelet.data import load
from spikelet.data.readers.nmnist import events_in


def recording(number: int, count: int = 40) -> tuple[bytes, np.ndarray]:
    """An N-MNIST file of `count` events, and the events as rows x, y, t, p."""
    draw = np.random.default_rng(number)
    x, y, p = (draw.integers(0, high, count) for high in (34, 34, 2))
    t = np.sort(draw.integers(0, 300_000, count))
    packed = np.stack([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255], 1).astype(np.uint8)
    return packed.tobytes(), np.stack([x, y, t, p], 1)


FILES = {
    f"{part}/{k % 5}/{k:05d}.bin": recording(k)
    for part, ks in {"Train": range(7), "Test": range(7, 10)}.items()
    for k in ks
}


def _unpacked(root: Path) -> Path:
    for name, (content, _) in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def _zip(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def _zipped(root: Path) -> Path:
    for part in ("Train", "Test"):
        _zip(
            root / f"{part.lower()}.zip",
            {f"{part}/": b"", **{n: c for n, (c, _) in FILES.items() if n.startswith(part)}},
        )
    return root


@pytest.mark.parametrize("lay_out", [_unpacked, _zipped])
def test_every_event_of_every_recording_is_counted(lay_out, tmp_path):
    splits = load("nmnist", root=lay_out(tmp_path), time_steps=3, validation=0)
    for part, data in (("Train", splits.train), ("Test", splits.test)):
        names = sorted(name for name in FILES if name.startswith(part))
        assert data.y.tolist() == [int(name.split("/")[1]) for name in names]
        for k, name in enumerate(names):
            expected = torch.zeros(3, 2, 34, 34, dtype=torch.int64)
            x, y, t, p = torch.from_numpy(FILES[name][1]).T
            slices = 3 * (t - t.min()) // (t.max() - t.min() + 1)
            expected.index_put_((slices, p, y, x), torch.ones(40, dtype=torch.int64), accumulate=True)
            assert torch.equal(data.x[k].long(), expected)


def test_a_folder_of_recordings_is_recognised(tmp_path):
    splits = load(_unpacked(tmp_path), time_steps=4, slicing="count", validation=0.5, image_size=32)
    assert splits.train.sample_shape == (4, 2, 32, 32)
    assert len(splits.train) + len(splits.validation) == 7


def test_zip_and_folder_give_the_same_samples(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    a, b = (load(make(tmp_path / name), time_steps=5).train for make, name in ((_unpacked, "a"), (_zipped, "b")))
    assert torch.equal(a.x, b.x)
    assert torch.equal(a.y, b.y)


def test_reading_a_zip_writes_nothing(tmp_path):
    load(_zipped(tmp_path), time_steps=2)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["test.zip", "train.zip"]


def test_a_set_with_one_part_loads(tmp_path):
    (_zipped(tmp_path) / "train.zip").unlink()
    splits = load("nmnist", root=tmp_path, time_steps=2)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (0, 0, 3)


@pytest.mark.parametrize(
    "name",
    [
        "../Train/0/1.bin",
        "/Train/0/1.bin",
        "Train/../0/1.bin",
        "Test/0/1.bin",
        "Train/10/1.bin",
        "Train/0/a.bin",
        "1.bin",
    ],
)
def test_a_zip_with_a_name_it_should_not_hold_is_refused(name, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    _zip(root / "train.zip", {"Train/0/00000.bin": recording(0)[0], name: recording(1)[0]})
    with pytest.raises(ValueError, match=r"is not a recording's name; Train/<digit>/<number>.bin was expected"):
        load("nmnist", root=root, time_steps=2)
    assert [path.name for path in tmp_path.rglob("*")] == ["root", "train.zip"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has 0 bytes; a recording is a whole number of 5-byte events"),
        (recording(0)[0][:-1], "has 199 bytes; a recording is a whole number of 5-byte events"),
        (b"\0" * (4 << 20) + b"\0", "has 4194305 bytes; .* at most 4194304 bytes"),
        (bytes([34, 0, 0, 0, 0]), "one outside the 34 x 34 pixels"),
        (bytes([0, 200, 0, 0, 0]), "one outside the 34 x 34 pixels"),
        (bytes([0, 240, 0, 0, 0]), "has no event"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_recording_is_named(packed, content, message, tmp_path):
    if packed:
        _zip(tmp_path / "train.zip", {"Train/3/00017.bin": content})
    else:
        (tmp_path / "Train" / "3").mkdir(parents=True)
        (tmp_path / "Train" / "3" / "00017.bin").write_bytes(content)
    with pytest.raises(ValueError, match=rf"Train/3/00017.bin.*{message}"):
        load("nmnist", root=tmp_path, time_steps=2)


def test_a_damaged_zip_is_refused(tmp_path):
    whole = (_zipped(tmp_path) / "train.zip").read_bytes()
    for damaged in (whole[: len(whole) // 2], b"no zip", whole[:60] + bytes(30) + whole[90:]):
        (tmp_path / "train.zip").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"train.zip(: Train/0/00000.bin)? is damaged \(.*\). Fetch it again"):
            load("nmnist", root=tmp_path, time_steps=2)


def test_a_folder_without_recordings_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no recordings: Train/<digit>/<number>.bin"):
        load("nmnist", root=tmp_path, time_steps=2)


def test_a_clock_that_goes_round_adds_to_the_time_of_all_that_follow():
    raw = [(1, 2, 0x80, 0x01, 0x02), (0, 240, 0, 0, 0), (3, 4, 0x01, 0, 0), (0, 240, 0, 0, 0), (5, 6, 0x7F, 0xFF, 0xFF)]
    events = events_in(bytes(byte for event in raw for byte in event))
    assert events.tolist() == [(1, 2, 258, 1), (3, 4, (1 << 16) + 8192, 0), (5, 6, (1 << 23) - 1 + 2 * 8192, 0)]


def test_events_are_those_of_tonic():
    read = pytest.importorskip("tonic.io").read_mnist_file
    bytes_of = np.random.default_rng(5).integers(0, 256, (400, 5)).astype(np.uint8)
    bytes_of[::37, 1] = 240
    theirs = read(io.BytesIO(bytes_of.tobytes()), dtype=events_in(bytes_of.tobytes()).dtype, is_stream=True)
    assert np.array_equal(theirs, events_in(bytes_of.tobytes()))


def test_the_shared_recordings_load(shared_data):
    splits = load("nmnist", root=shared_data / "nmnist", time_steps=10)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (899, 101, 100)
    assert splits.train.sample_shape == (10, 2, 34, 34)
    assert 2000 < splits.train.x.float().sum((1, 2, 3, 4)).mean() < 6000  # events a recording; the paper: 4172
