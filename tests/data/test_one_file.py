"""A zip of pictures and a table are data sets by themselves, and say the same as the folders they were made of."""

from __future__ import annotations

import shutil
import stat
import zipfile
from pathlib import Path

import pytest
import torch

from spikelet.base.errors import DataError, SpikeletError
from spikelet.data import load
from tests.data.sources import COLOUR, cells, table
from tests.support.shapes import make_shapes


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKELET_CACHE", str(tmp_path_factory.mktemp("cache")))


def zipped(path: Path, *members: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("splits", [{"": 3}, {"train": 3, "test": 2}, {"train": 3}])
@pytest.mark.parametrize("around", [True, False])
def test_a_zip_is_the_folder_it_was_made_of(tmp_path: Path, splits: dict[str, int], around: bool) -> None:
    folder = make_shapes(tmp_path / "shapes", splits)
    where = {"root_dir": tmp_path, "base_dir": "shapes"} if around else {"root_dir": folder}
    shutil.make_archive(str(tmp_path / "set"), "zip", **where)
    packed, plain = load(tmp_path / "set.zip", image_size=8), load(folder, image_size=8)
    for a, b in ((packed.train, plain.train), (packed.validation, plain.validation), (packed.test, plain.test)):
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.y, b.y)
        assert a.labels == b.labels
    assert packed.train.name == "set"


def test_one_class_is_no_folder_around_the_classes(tmp_path: Path) -> None:
    path = zipped(tmp_path / "one.zip", ("cat/0.png", COLOUR[0]), ("cat/1.png", COLOUR[1]))
    assert load(path, validation=0).train.labels == ("cat",)


def test_what_is_no_picture_is_left_out_by_name(tmp_path: Path) -> None:
    members = [(f"{c}/{k}.png", COLOUR[k]) for k, c in enumerate(("cat", "dog"))]
    path = zipped(tmp_path / "s.zip", *members, ("__MACOSX/cat/0.png", b"x"), ("cat/.DS_Store", b"x"), ("a.txt", b"x"))
    with pytest.warns(UserWarning, match=r"3 left out: '__MACOSX/cat/0.png' \(hidden\), 'a.txt' .*, 'cat/.DS_Store'"):
        splits = load(path, validation=0)
    assert splits.reading is not None
    assert (len(splits.train), splits.reading.files) == (2, 5)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../cat/0.png", "is no name in a zip of pictures"),
        ("/cat/0.png", "is no name in a zip of pictures"),
        ("cat/../../0.png", "is no name in a zip of pictures"),
        ("cat\\..\\0.png", "is no name in a zip of pictures"),
        ("cat/more.zip", "is an archive, and archives are not read"),
        ("train/metadata.csv", "gives pictures labels of their own"),
        ("0.png", "lies in no class folder"),
        ("a/b/c/0.png", "lies too deep"),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str, said: str) -> None:
    path = zipped(tmp_path / "s.zip", ("cat/1.png", COLOUR[1]), (name, COLOUR[0]))
    with pytest.raises(DataError, match=said):
        load(path)


def test_a_damaged_picture_and_a_damaged_zip_are_named(tmp_path: Path) -> None:
    path = zipped(tmp_path / "s.zip", ("cat/1.png", COLOUR[1]), ("cat/2.png", b"no picture"))
    with pytest.raises(SpikeletError, match=r"s\.zip: 'cat/2\.png' cannot be used"):
        load(path)
    (tmp_path / "cut.zip").write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"cut\.zip is damaged"):
        load(tmp_path / "cut.zip")
    with pytest.raises(FileNotFoundError, match="it holds no picture"):
        load(zipped(tmp_path / "none.zip", ("readme.txt", b"x")))


def test_a_member_that_stands_twice_is_encrypted_or_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = zipped(tmp_path / "twice.zip", ("cat/1.png", COLOUR[1]), ("cat/1.png", COLOUR[2]))
    with pytest.raises(DataError, match="stands in it twice"):
        load(twice)
    path = zipped(tmp_path / "s.zip", ("cat/1.png", COLOUR[1]))
    data = bytearray(path.read_bytes())
    central = data.rfind(b"PK\1\2")
    locked = bytearray(data)
    locked[central + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(locked)
    with pytest.raises(DataError, match="is encrypted"):
        load(tmp_path / "locked.zip")
    data[central + 24 : central + 28] = (1 << 30).to_bytes(4, "little")
    (tmp_path / "long.zip").write_bytes(data)
    with pytest.raises(DataError, match="has 1073741824 bytes, more than the"):
        load(tmp_path / "long.zip")


def test_a_link_in_a_zip_is_bytes_and_leads_nowhere(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("cat/1.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        archive.writestr(info, "/etc/hostname")
    with pytest.raises(SpikeletError, match=r"'cat/1\.png' cannot be used"):
        load(tmp_path / "s.zip")


def test_a_table_is_a_data_set_by_itself(tmp_path: Path) -> None:
    path = table(tmp_path / "pets.parquet", cells(COLOUR[:4]), [0, 1, 0, 1])
    table(tmp_path / "others.parquet", cells(COLOUR[4:6]), [0, 1])
    splits = load(path, validation=0)
    assert (splits.train.name, len(splits.train), splits.train.labels) == ("pets", 4, ("cat", "dog"))
    with pytest.raises(FileNotFoundError, match=r"a file \(\.parquet, \.arrow, \.zip, \.npz\)"):
        load(tmp_path / "pets.csv")


def test_a_folder_of_other_classes_is_not_read_as_cifar(tmp_path: Path) -> None:
    shapes = make_shapes(tmp_path / "shapes", {"train": 2, "test": 1})
    words = r"shapes' has the classes 'bar', .*, and cifar10 'airplane', .* \(on the command line --data PATH\)"
    with pytest.raises(DataError, match=words):
        load("cifar10", root=shapes, image_size=32)
