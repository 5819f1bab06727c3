"""Hugging Face image data sets: columns, splits, forms of images, the cache of decoded ones, and what goes wrong."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from spikelet.data import load
from spikelet.data.readers.decoded_cache import cache_folder, recall
from spikelet.data.readers.labels import numbered
from spikelet.data.readers.nmnist import has_nmnist_files

datasets = pytest.importorskip("datasets")
Image = pytest.importorskip("PIL.Image")

PIXELS = np.random.default_rng(0).integers(0, 256, (10, 6, 6, 3)).astype(np.uint8)
LABELS = ["cat", "dog"]


@pytest.fixture(autouse=True)
def _own_caches(tmp_path_factory, monkeypatch):
    """Nothing is left in the user's caches, and nothing found there."""
    monkeypatch.setenv("SPIKELET_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets"))


def png(array: np.ndarray, mode: str | None = None, kind: str = "PNG") -> bytes:
    """An encoded image."""
    image, buffer = Image.fromarray(array), io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, kind)
    return buffer.getvalue()


def write(root: Path, splits: dict[str, list[bytes]], labels: list[int] | None = None) -> Path:
    """A folder in the hub's parquet layout."""
    (root / "data").mkdir(parents=True, exist_ok=True)
    for split, images in splits.items():
        rows = {
            "img": [{"bytes": b, "path": None} for b in images],
            "label": labels or [k % 2 for k in range(len(images))],
        }
        features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=LABELS)})
        made = datasets.Dataset.from_dict(rows, features=features)
        made.to_parquet(root / "data" / f"{split}-00000-of-00001.parquet")
    return root


COLOUR = [png(p) for p in PIXELS]


def test_a_parquet_folder_gives_the_pixels_and_labels_it_holds(tmp_path):
    splits = load(write(tmp_path / "pets", {"train": COLOUR[:6], "test": COLOUR[6:]}), validation=0)
    assert torch.equal(splits.train.x, torch.from_numpy(PIXELS[:6].transpose(0, 3, 1, 2)))
    assert torch.equal(splits.test.x, torch.from_numpy(PIXELS[6:].transpose(0, 3, 1, 2)))
    assert splits.test.y.tolist() == [0, 1, 0, 1]
    assert (splits.train.labels, splits.train.name, splits.train.note) == (("cat", "dog"), "pets", "PNG images")


def test_a_folder_of_image_files_is_read_too(tmp_path):
    for k, content in enumerate(COLOUR):
        file = tmp_path / ("train", "test")[k // 6] / LABELS[k % 2] / f"{k}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    splits = load(tmp_path, validation=0)
    assert (len(splits.train), len(splits.test)) == (6, 4)
    assert splits.test.labels == ("cat", "dog")
    assert sorted(map(str, splits.test.x.tolist())) == sorted(map(str, PIXELS[6:].transpose(0, 3, 1, 2).tolist()))


def test_the_validation_split_of_a_source_is_used_as_it_is(tmp_path):
    splits = load(write(tmp_path, {"train": COLOUR[:5], "validation": COLOUR[5:7], "test": COLOUR[7:]}), validation=0.4)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (5, 2, 3)


def test_a_source_with_only_a_test_set_has_empty_other_parts(tmp_path):
    splits = load(write(tmp_path, {"test": COLOUR}))
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (0, 0, 10)
    assert splits.train.sample_shape == splits.test.sample_shape


def test_grey_images_have_one_channel_unless_they_meet_others(tmp_path):
    grey = [png(p[..., 0]) for p in PIXELS]
    alone = load(write(tmp_path / "grey", {"train": grey[:5], "test": grey[5:]}), validation=0)
    assert torch.equal(alone.train.x, torch.from_numpy(PIXELS[:5, None, :, :, 0]))
    mixed = load(write(tmp_path / "mixed", {"train": [*grey[:3], COLOUR[3], grey[4]], "test": grey[5:]}), validation=0)
    assert mixed.train.sample_shape == mixed.test.sample_shape == (3, 6, 6)
    assert torch.equal(mixed.train.x[4], torch.from_numpy(PIXELS[4, :, :, 0]).expand(3, 6, 6))
    assert torch.equal(mixed.train.x[3], torch.from_numpy(PIXELS[3].transpose(2, 0, 1)))


@pytest.mark.parametrize("mode", ["RGBA", "P", "CMYK"])
def test_other_forms_of_images_become_rgb(mode, tmp_path):
    kind = "TIFF" if mode == "CMYK" else "PNG"
    splits = load(write(tmp_path, {"test": [png(PIXELS[0], mode, kind)]}))
    assert splits.test.sample_shape == (3, 6, 6)


def test_images_of_several_sizes_need_a_size_to_be_brought_to(tmp_path):
    root = write(tmp_path, {"test": [COLOUR[0], png(PIXELS[1, :4])]})
    with pytest.raises(ValueError, match=r"image 1 of .*/test is 4 x 6 pixels, the first 6 x 6. .* image_size=..."):
        load(root)
    splits = load(root, image_size=4)
    assert splits.test.sample_shape == (3, 4, 4)
    assert torch.equal(
        splits.test.x[1], torch.from_numpy(PIXELS[1, :4, 1:5].transpose(2, 0, 1))
    )  # the middle, unscaled


def test_a_damaged_image_is_named(tmp_path):
    for k, broken in enumerate((b"no image", COLOUR[0][:-40])):
        with pytest.raises(ValueError, match=r"image 1 of d[01]/test cannot be used: "):
            load(write(tmp_path / f"d{k}", {"test": [COLOUR[0], broken]}))


def test_images_of_more_than_8_bits_are_refused(tmp_path):
    deep = png(PIXELS[0, ..., 0].astype(np.uint16) * 256)
    with pytest.raises(ValueError, match=r"image 0 of .* mode I;16, more than 8 bits"):
        load(write(tmp_path, {"test": [deep]}))


def test_a_split_without_labels_is_absent_and_a_set_without_any_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"has no labels: all of them are missing"):
        load(write(tmp_path / "none", {"test": COLOUR[:2]}, labels=[-1, -1]))
    with pytest.raises(ValueError, match=r"half/test lacks the label of sample 1\. Take such samples out"):
        load(write(tmp_path / "half", {"test": COLOUR[:2]}, labels=[1, -1]))
    write(tmp_path / "some", {"train": COLOUR[:4]})
    splits = load(write(tmp_path / "some", {"test": COLOUR[:2]}, labels=[-1, -1]), validation=0)
    assert (len(splits.train), len(splits.test)) == (4, 0)


@pytest.mark.parametrize(
    ("train", "test", "numbers", "names"),
    [
        ([10, 1, 2, 1], [2, 10], [2, 0, 1, 0], ("1", "2", "10")),
        (["dog", "cat", "dog", "dog"], ["cat", "emu"], [1, 0, 1, 1], ("cat", "dog", "emu")),
    ],
)
def test_labels_without_names_are_numbered_over_all_splits(tmp_path, train, test, numbers, names):
    for split, labels in (("train", train), ("test", test)):
        kind = datasets.Value("string" if isinstance(labels[0], str) else "int64")
        features = datasets.Features({"image": datasets.Image(), "label": kind})
        rows = {"image": [{"bytes": b, "path": None} for b in COLOUR[: len(labels)]], "label": labels}
        datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / f"{split}.parquet")
    splits = load(tmp_path, validation=0)
    assert splits.train.y.tolist() == numbers
    assert splits.train.labels == splits.test.labels == names


def test_a_label_that_is_missing_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"x/test lacks the label of sample 1\. Take such samples out"):
        numbered({"test": ["a", None]}, None, "x")


def test_a_picture_that_says_which_way_is_up_is_turned(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter to the right
    out = io.BytesIO()
    Image.fromarray(PIXELS[0, :4]).save(out, "png", exif=exif)
    splits = load(write(tmp_path, {"test": [out.getvalue()]}))
    assert torch.equal(splits.test.x[0], torch.from_numpy(np.rot90(PIXELS[0, :4], -1).transpose(2, 0, 1).copy()))


def test_a_split_that_would_be_left_out_is_named(tmp_path):
    write(tmp_path, {"train": COLOUR[:4], "extra": COLOUR[4:6]})
    files = "".join(f"  - split: {s}\n    path: data/{s}-*.parquet\n" for s in ("train", "extra"))
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}---\n")
    with pytest.raises(ValueError, match=r"validation and test are known, and \['extra'\] would be left out"):
        load(tmp_path)


def test_zips_of_pictures_are_no_recordings(tmp_path):
    with zipfile.ZipFile(tmp_path / "train.zip", "w") as archive:
        archive.writestr("cat/1.png", COLOUR[0])
    assert not has_nmnist_files(tmp_path)


def test_columns_are_asked_for_where_there_are_several(tmp_path):
    feature = datasets.ClassLabel(names=LABELS)
    features = datasets.Features(
        {
            "img": datasets.Image(),
            "fine": feature,
            "coarse": feature,
            "n": datasets.Value("int64"),
            "s": datasets.Value("string"),
        }
    )
    rows = {
        "img": [{"bytes": b, "path": None} for b in COLOUR[:2]],
        "fine": [0, 1],
        "coarse": [1, 1],
        "n": [4, 2],
        "s": ["a", "b"],
    }
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "test.parquet")
    with pytest.raises(ValueError, match=r"image columns \['img'\] and label columns \['fine', 'coarse'\]"):
        load(tmp_path)
    assert load(tmp_path, columns=("img", "coarse")).test.y.tolist() == [1, 1]
    assert load(tmp_path, columns=("img", "n")).test.labels == ("2", "4")
    assert load(tmp_path, columns=("img", "s")).test.y.tolist() == [0, 1]
    for wrong in (("fine", "coarse"), ("img", "nothing")):
        with pytest.raises(ValueError, match=r"must be a column of images and one of labels, integers or words"):
            load(tmp_path, columns=wrong)


def test_a_source_without_a_known_split_is_refused(tmp_path):
    datasets.Dataset.from_dict({"a": [1]}).to_parquet(tmp_path / "extra.parquet")
    root = tmp_path
    (root / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: extra\n    path: extra.parquet\n---\n"
    )
    with pytest.raises(ValueError, match=r"has the splits \['extra'\]; train, validation and test are known"):
        load(root)


def test_a_damaged_parquet_file_is_refused_by_its_folder(tmp_path):
    root = write(tmp_path / "pets", {"train": COLOUR[:6], "test": COLOUR[6:]})
    file = root / "data" / "test-00000-of-00001.parquet"
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"the data set in '.*pets' was found and cannot be read: .*[Pp]arquet"):
        load(root)


def test_a_folder_without_images_and_an_unknown_id_are_refused(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="no image data set could be read from"):
        load(tmp_path)
    monkeypatch.setattr(datasets, "load_dataset", _unreachable)
    for name in ("nobody/nothing", "cifar10", "cifar100"):
        with pytest.raises(
            FileNotFoundError, match=r"no image data set could be read from '[a-z-]+/[a-z0-9]+': offline"
        ):
            load(name)


def _unreachable(source: str) -> None:
    raise ConnectionError("offline")


def test_decoding_happens_once(tmp_path, monkeypatch):
    root = write(tmp_path, {"train": COLOUR[:6], "test": COLOUR[6:]})
    first = load(root)
    monkeypatch.setattr("PIL.ImageOps.exif_transpose", None)  # without it nothing can be decoded
    second = load(root)
    assert torch.equal(first.train.x, second.train.x)
    assert torch.equal(first.test.x, second.test.x)


def test_changed_images_are_decoded_anew(tmp_path):
    load(write(tmp_path / "a", {"test": COLOUR}))
    swapped = load(write(tmp_path / "b", {"test": COLOUR[::-1]}))
    assert torch.equal(swapped.test.x, torch.from_numpy(PIXELS[::-1].transpose(0, 3, 1, 2).copy()))


def test_a_damaged_cache_file_is_made_anew(tmp_path):
    made = np.arange(48, dtype=np.uint8).reshape(1, 3, 4, 4)
    recall("abc", lambda: made)
    (file,) = (cache_folder() / "decoded").iterdir()
    for content in (b"", file.read_bytes()[:100], b"something else"):
        file.write_bytes(content)
        assert np.array_equal(recall("abc", lambda: made), made)
    np.save(file, made.astype(np.float32))
    assert recall("abc", lambda: made).dtype == np.uint8
    assert [path.name for path in file.parent.iterdir()] == ["abc.npy"]


def test_a_cache_that_cannot_be_written_costs_a_warning_and_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("SPIKELET_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="could not be kept in .*file/decoded .* Set SPIKELET_CACHE"):
        assert recall("abc", lambda: np.zeros((1, 1, 1, 1), np.uint8)).shape == (1, 1, 1, 1)


def test_an_interrupted_write_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setenv("SPIKELET_CACHE", str(tmp_path))

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        recall("abc", lambda: np.zeros((1, 1, 1, 1), np.uint8))
    assert list((tmp_path / "decoded").iterdir()) == []


def test_the_cache_lies_where_the_environment_says(monkeypatch):
    monkeypatch.setenv("SPIKELET_CACHE", "here")
    assert cache_folder() == Path("here")
    monkeypatch.delenv("SPIKELET_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "there")
    assert cache_folder() == Path("there/spikelet")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "spikelet"


def test_the_original_images_load(shared_data):
    splits = load(shared_data / "cifar10-original-test1017")
    assert (len(splits.train), len(splits.test)) == (0, 1017)
    assert splits.test.labels[:2] == ("airplane", "automobile")


@pytest.mark.slow
def test_the_copy_of_cifar10_is_near_the_originals_in_the_same_order(shared_data):
    copy = load("cifar10", root=shared_data / "cifar10")
    originals = load(shared_data / "cifar10-original-test1017").test
    assert (len(copy.train), len(copy.validation), len(copy.test)) == (45000, 5000, 10000)
    assert torch.equal(copy.test.y[:1017], originals.y)
    difference = (copy.test.x[:1017].float() - originals.x.float()).abs().mean((1, 2, 3))
    assert difference.max() < 16
