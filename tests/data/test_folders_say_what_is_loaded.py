"""A folder of pictures: the split is the first folder, the class the next, and no file is left out without a word."""

from __future__ import annotations

import os
import random
import re
import socket
import warnings
from pathlib import Path

import pytest

from spikelet.base.errors import DataError, DataWarning, SpikeletError
from spikelet.data import DataSplits, load
from tests.data.random_folders import random_folder
from tests.data.sources import Image, put


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("SPIKELET_CACHE", str(tmp_path_factory.mktemp("cache")))


def classes(root: Path, *names: str, start: int = 0) -> Path:
    """Three pictures in each of the folders `names` of `root`, no two alike."""
    for k, name in enumerate(names):
        for i in range(3):
            put(root / name / f"{i}.png", start + 10 * k + i)
    return root


def quietly(root: Path, **options) -> tuple[DataSplits, str]:
    """A data set without a validation part, and what was warned of."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        splits = load(root, **({"validation": 0} | options))
    assert all(issubclass(one.category, DataWarning) for one in said)
    return splits, "\n".join(str(one.message) for one in said)


def sizes(splits: DataSplits) -> tuple[int, int, int]:
    return len(splits.train), len(splits.validation), len(splits.test)


def refused(root: Path) -> str:
    """The one sentence by which a folder is refused."""
    with pytest.raises(DataError) as error:
        load(root)
    return str(error.value)


def test_a_class_may_be_called_train(tmp_path):
    classes(tmp_path / "train", "bus", "train")
    classes(tmp_path / "test", "bus", "train", start=100)
    splits, said = quietly(tmp_path)
    assert (sizes(splits), said) == ((6, 0, 6), "")
    assert splits.train.labels == ("bus", "train")
    assert sorted(splits.test.x[splits.test.y == 1, 0, 0, 0].tolist()) == [110, 111, 112]


def test_words_in_the_names_of_files_choose_nothing(tmp_path):
    classes(tmp_path, "ant", "bee")
    put(tmp_path / "ant" / "test_drive.png", 100)
    put(tmp_path / "bee" / "train-of-ants.png", 101)
    splits, said = quietly(tmp_path)
    assert (sizes(splits), said) == ((8, 0, 0), "")


@pytest.mark.parametrize(
    "names",
    [
        ("Train", "VAL", "Test"),
        ("training", "valid", "testing"),
        ("TRAIN", "Dev", "tEST"),
        ("train", "validation", "test"),
    ],
)
def test_splits_are_told_in_any_capitals(names, tmp_path):
    for k, name in enumerate(names):
        classes(tmp_path / name, *("ant", "bee")[: 1 + (k < 2)], start=50 * k)
    splits, said = quietly(tmp_path)
    assert (sizes(splits), said) == ((6, 6, 3), "")


def test_pictures_are_read_whatever_their_names_end_in(tmp_path):
    classes(tmp_path, "__other__", "cat.d", "set [a]*")
    put(tmp_path / "cat.d" / "no ending", 100)
    put(tmp_path / "cat.d" / "x.unknown", 101, "JPEG")
    put(tmp_path / "cat.d" / "a.BMP", 102, "BMP")
    put(tmp_path / "cat.d" / "b.avif", 103, "AVIF")
    splits, said = quietly(tmp_path)
    assert (sizes(splits), said) == ((13, 0, 0), "")
    assert splits.train.labels == ("__other__", "cat.d", "set [a]*")
    assert splits.train.y.bincount().tolist() == [3, 7, 3]


def test_a_path_is_no_pattern(tmp_path):
    splits, said = quietly(classes(tmp_path / "set [a]" / "**", "ant", "bee"))
    assert (sizes(splits), said) == ((6, 0, 0), "")


def test_what_is_left_out_is_named(tmp_path):
    classes(tmp_path, "ant", "bee", ".cat")
    (tmp_path / "ant" / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (tmp_path / "ant" / ".DS_Store").write_bytes(b"\x00")
    (tmp_path / "notes.txt").write_text("P2 or not")
    (tmp_path / "bee" / "empty").touch()
    (tmp_path / "owl").mkdir()
    splits, said = quietly(tmp_path)
    assert sizes(splits) == (6, 0, 0)
    assert "7 left out: '.cat/0.png' (hidden), '.cat/1.png' (hidden), '.cat/2.png' (hidden)" in said
    assert "and 2 more" in said
    assert "no picture lies in 'owl'" in said
    assert splits.reading is not None
    assert [one.what for one in splits.reading.left_out] == [
        ".cat/0.png", ".cat/1.png", ".cat/2.png", "ant/.DS_Store", "ant/Thumbs.db", "bee/empty", "notes.txt",
    ]  # fmt: skip
    assert (splits.reading.files, splits.reading.samples) == (13, (("train", (3, 3)),))
    assert str(splits.reading) == f"{tmp_path.name}: 6 train samples of 2 classes, 7 left out"


def test_what_is_no_regular_file_is_left_out_and_never_opened(tmp_path):
    classes(tmp_path, "ant", "bee")
    os.mkfifo(tmp_path / "ant" / "9.png")
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(tmp_path / "bee")  # the name of a socket is at most 107 bytes long
        try:
            listening.bind("8.png")
        finally:
            os.chdir(here)
        splits, said = quietly(tmp_path)
    assert sizes(splits) == (6, 0, 0)
    assert "2 left out: 'ant/9.png' (no regular file), 'bee/8.png' (no regular file)" in said


def test_links_to_files_of_the_folder_are_followed_and_no_others(tmp_path):
    root = classes(tmp_path / "set", "ant", "bee")
    (root / "bee" / "link.png").symlink_to("../ant/0.png")
    assert sizes(quietly(root)[0]) == (7, 0, 0)
    outside = put(tmp_path / "private.png", 200)
    for target, what in (
        (outside, "leads out of it"),
        (tmp_path, "leads out of it"),
        (root / "ant", "does not lead to a regular file"),
        (root / "nothing", "cannot be followed: No such file"),
        (root / "ant" / "loop.png", "cannot be followed"),
    ):
        link = root / "ant" / "loop.png"
        link.symlink_to(target)
        assert f"{str(link)!r} is a link" in refused(root)
        assert what in refused(root)
        link.unlink()


def test_a_snapshot_of_the_hub_s_cache_is_read_though_it_consists_of_links(tmp_path):
    blobs = classes(tmp_path / "datasets--a--b" / "blobs", "x")
    snapshot = tmp_path / "datasets--a--b" / "snapshots" / "0123"
    for k in range(3):
        (snapshot / "ant").mkdir(parents=True, exist_ok=True)
        (snapshot / "ant" / f"{k}.png").symlink_to(blobs / "x" / f"{k}.png")
    assert sizes(quietly(snapshot)[0]) == (3, 0, 0)


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (("test/a.png", "ant/a.png"), r"can be read in two ways: 'test' as splits, which leaves out 'ant', or all"),
        (("train/x/a.png", "extra/x/a.png"), r"can be read in two ways: 'train' as splits, which leaves out 'extra'"),
        (("Train/x/a.png", "train/x/b.png"), r"has both Train and train|both name the train set"),
        (("Train/x/a.png", "training/x/b.png"), r"'Train' and 'training' of '.*' both name the train set\. Join them"),
        (("val/x/a.png", "dev/x/b.png"), r"'dev' and 'val' of '.*' both name the validation set"),
        (("train/x/a.png", "train/b.png"), r"'train/b.png' .* in no class folder \('train' is read as a split\)"),
        (("train/b.png", "test/b.png"), r"'test/b.png' .* in no class folder .*<split>/<class>/<picture> was expected"),
        (("x/a.png", "b.png"), r"'b.png' .* in no class folder; <class>/<picture> was expected"),
        (("b.png",), r"'b.png' .* lies in no class folder"),
        (("x/a.png", "y/z/b.png"), r"'y/z/b.png' .* lies too deep; <class>/<picture> was expected"),
        (
            ("train/x/a.png", "train/x/z/b.png"),
            r"'train/x/z/b.png' .* too deep; <split>/<class>/<picture> was expected",
        ),
        (("set/train/x/a.png",), r"'set/train/x/a.png' .* has its split below another folder.* Give the folder 'set'"),
        (("ant/train/a.png", "bee/train/a.png"), r"has its split below another folder.* Put the splits' folders first"),
        (("train/Ant/a.png", "test/ant/b.png"), r"the classes 'Ant' and 'ant' in different splits, which differ in"),
        (("train/n\u0303/a.png", "test/\xf1/b.png"), r"classes 'n\u0303' and '\xf1' in different splits, which differ"),
        (("train/ant/a.png", "test/ant /b.png"), r"the classes 'ant' and 'ant ' in different splits"),
    ],
)
def test_a_layout_that_can_be_misread_is_refused_by_name(paths, said, tmp_path):
    for k, path in enumerate(paths):
        put(tmp_path / path, k)
    assert re.search(said, refused(tmp_path))


def test_classes_that_differ_by_capitals_are_two_where_one_split_has_both(tmp_path):
    classes(tmp_path / "train", "A", "a")
    classes(tmp_path / "test", "A", "a", start=100)
    splits, _ = quietly(tmp_path)
    assert splits.test.labels == ("A", "a")


@pytest.mark.parametrize("name", ["train/pets.zip", "test.tar", "ant/images.tar.gz", "a.7z"])
def test_an_archive_is_refused_by_name(name, tmp_path):
    classes(tmp_path / "train", "ant", "bee")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"PK")
    assert re.search(rf"{Path(name).name}' is an archive, and archives are not read\. Unpack it", refused(tmp_path))


@pytest.mark.parametrize("name", ["metadata.csv", "train/metadata.jsonl"])
def test_labels_that_lie_beside_the_folders_are_refused_by_name(name, tmp_path):
    classes(tmp_path / "train", "ant", "bee")
    (tmp_path / name).write_text("file_name,label\n")
    assert f"{Path(name).name}' gives pictures labels of their own" in refused(tmp_path)


def test_a_loading_script_is_refused_by_name_and_never_run(tmp_path):
    root = classes(tmp_path / "pets", "ant", "bee")
    (root / "pets.py").write_text("raise SystemExit('run')\n")
    assert "pets.py' is a loading script, and no code that comes with a data set is run" in refused(root)
    (root / "pets.py").rename(root / "other.py")
    assert "'other.py' (not a picture" in quietly(root)[1]


def test_a_damaged_picture_is_named_by_its_file(tmp_path):
    classes(tmp_path, "ant", "bee")
    for content in (b"", b"no picture", (tmp_path / "ant" / "0.png").read_bytes()[:-40]):
        (tmp_path / "ant" / "9.png").write_bytes(content)
        with pytest.raises(SpikeletError, match=r"ant/9\.png cannot be used: "):
            load(tmp_path)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path):
    classes(tmp_path, "ant", "bee")
    with (tmp_path / "ant" / "9.png").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(SpikeletError, match=r"ant/9\.png has 1099511627776 bytes, more than the 268435456"):
        load(tmp_path)


def test_splits_of_several_sizes_need_one_to_be_brought_to(tmp_path):
    classes(tmp_path / "train", "ant", "bee")
    for name in ("ant", "bee"):
        (tmp_path / "test" / name).mkdir(parents=True)
        Image.new("L", (9, 7), 200 + len(name)).save(tmp_path / "test" / name / "0.png")
    with pytest.raises(SpikeletError, match=r"has test samples of shape \[1, 7, 9\], and others of .* image_size="):
        load(tmp_path)
    assert load(tmp_path, image_size=6, validation=0).test.sample_shape == (1, 6, 6)


def test_a_picture_of_another_size_is_named_by_its_path(tmp_path):
    classes(tmp_path, "ant", "bee")
    Image.new("L", (30, 20)).save(tmp_path / "bee" / "large.png")
    assert f"{tmp_path / 'bee' / 'large.png'} is 20 x 30 pixels, the first of " in refused(tmp_path)


def test_a_picture_in_two_splits_is_said(tmp_path):
    classes(tmp_path / "train", "ant", "bee")
    classes(tmp_path / "test", "ant", start=2)
    splits, said = quietly(tmp_path)
    assert sizes(splits) == (6, 0, 3)
    assert "1 of the 3 test samples are in the train set too, pixel for pixel: test[0] = train[2]" in said


def test_a_picture_that_is_there_twice_is_said_where_one_of_the_two_is_held_out(tmp_path):
    for k in range(10):
        put(tmp_path / "ant" / f"{k}.png", k // 5)
    assert quietly(tmp_path)[1] == ""
    assert "5 validation samples are in the train set too" in quietly(tmp_path, validation=0.5)[1]


def test_a_class_without_a_training_sample_is_said(tmp_path):
    classes(tmp_path / "train", "ant", "bee")
    classes(tmp_path / "test", "ant", "cat", start=100)
    splits, said = quietly(tmp_path)
    assert splits.train.labels == splits.test.labels == ("ant", "bee", "cat")
    assert said == f"{tmp_path.name}: 1 of the classes of the test set, 'cat', have no training sample."
    assert splits.reading is not None
    assert splits.reading.samples == (("train", (3, 3, 0)), ("test", (3, 0, 3)))


def test_a_folder_of_one_class_is_a_data_set(tmp_path):
    assert quietly(classes(tmp_path, "ant"))[0].train.labels == ("ant",)


def test_columns_are_of_tables(tmp_path):
    classes(tmp_path, "ant")
    with pytest.raises(DataError, match=r"columns=\('a', 'b'\) chooses columns of tables, and '.*' has pictures"):
        load(tmp_path, columns=("a", "b"))


def test_a_folder_without_pictures_says_what_lies_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no picture and no table lies there: it is empty"):
        load(tmp_path)
    (tmp_path / "a.csv").write_text("1,2\n")
    with pytest.raises(FileNotFoundError, match=r"no table lies there: 'a\.csv' \(not a picture .*<class>/<picture>"):
        load(tmp_path)


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    classes(tmp_path, "ant")

    def forbidden(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", forbidden)
    assert "cannot be read: Permission denied" in refused(tmp_path)


def test_a_class_whose_name_is_no_text_is_refused(tmp_path):
    try:
        put(tmp_path / "\udcff", 1) if os.name == "nt" else put(tmp_path / "ant\udcff" / "0.png", 1)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    assert "'ant\\udcff' of" in refused(tmp_path)


def check_random_folder(root: Path, seed: int) -> None:
    """Every file of a random folder is a sample or is named, and no two splits share one; or the folder is refused."""
    expected = random_folder(root, random.Random(seed))
    try:
        splits, said = quietly(root)
    except (SpikeletError, FileNotFoundError) as error:
        assert expected is None, (seed, error)
        return
    assert expected is not None, seed
    reading = splits.reading
    assert reading is not None
    found = {
        split: {label: sorted(part.x[part.y == k, 0, 0, 0].tolist()) for k, label in enumerate(part.labels)}
        for split, part in (("train", splits.train), ("validation", splits.validation), ("test", splits.test))
    }
    found = {split: {label: levels for label, levels in of.items() if levels} for split, of in found.items()}
    assert {split: of for split, of in found.items() if of} == expected.samples, seed
    assert reading.files == sum(sizes(splits)) + len(reading.left_out) == expected.files, seed
    assert sorted(one.what for one in reading.left_out) == sorted(expected.left_out), seed
    levels = [level for of in found.values() for values in of.values() for level in values]
    assert len(levels) == len(set(levels)), seed
    assert bool(expected.left_out) == ("left out" in said), seed


@pytest.mark.parametrize("seed", range(200))
def test_files_in_are_samples_out_and_files_named(seed, tmp_path):
    check_random_folder(tmp_path / "set", seed)


@pytest.mark.slow
def test_files_in_are_samples_out_and_files_named_in_2000_folders(tmp_path):
    for seed in range(200, 2200):
        check_random_folder(tmp_path / str(seed), seed)


def test_transparency_is_said_and_laid_on_the_ground_asked_for_from_the_cache_too(tmp_path):
    for k, alpha in enumerate((0, 255)):
        path = put(tmp_path / "ant" / f"{k}.png", 10 + k)
        with Image.open(path) as opened:
            image = opened.convert("RGBA")
        image.putalpha(alpha)
        image.save(path)
    for ground, level in (("white", 255), ("black", 0), ("white", 255)):
        train = load(tmp_path, validation=0, ground=ground).train
        assert train.x[:, 0, 0, 0].tolist() == [level, 11]
        assert train.note == f"PNG images, 1 of them transparent, laid on {ground}"
