"""Image data sets in the hub's parquet files: columns, splits, labels and forms of images."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
import torch

from spikelet.base.errors import DataWarning
from spikelet.data import load
from spikelet.data.readers import decoding
from spikelet.data.readers.labels import numbered
from spikelet.data.readers.nmnist import has_nmnist_files
from tests.data.sources import COLOUR, LABELS, PIXELS, Image, cells, datasets, parquet, png, pyarrow, write


@pytest.fixture(autouse=True)
def _own_caches(tmp_path_factory, monkeypatch):
    """Nothing is left in the user's caches, and nothing found there."""
    monkeypatch.setenv("SPIKELET_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets"))


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
    with pytest.raises(
        ValueError, match=r"sample 1 of (.*/test) is 4 x 6 pixels, the first of \1 6 x 6. .* image_size=..."
    ):
        load(root)
    splits = load(root, image_size=4)
    assert splits.test.sample_shape == (3, 4, 4)
    assert torch.equal(
        splits.test.x[1], torch.from_numpy(PIXELS[1, :4, 1:5].transpose(2, 0, 1))
    )  # the middle, unscaled


@pytest.mark.parametrize("whole", [True, False], ids=["structures", "bytes"])
def test_a_table_that_other_libraries_wrote_has_images_too(whole, tmp_path):
    """pandas and pyarrow note no images in a table: structures of bytes are known, bytes have to be asked for."""
    images = cells(COLOUR) if whole else COLOUR
    parquet.write_table(pyarrow.table({"img": images, "label": [k % 2 for k in range(10)]}), tmp_path / "train.parquet")
    splits = load(tmp_path, validation=0, columns=None if whole else ("img", "label"))
    assert torch.equal(splits.train.x, torch.from_numpy(PIXELS.transpose(0, 3, 1, 2)))
    if not whole:
        with pytest.raises(ValueError, match=r"columns=\(image, label\)"):
            load(tmp_path)


def test_a_damaged_image_is_named(tmp_path):
    for k, broken in enumerate((b"no image", COLOUR[0][:-40])):
        with pytest.raises(ValueError, match=r"sample 1 of d[01]/test cannot be used: "):
            load(write(tmp_path / f"d{k}", {"test": [COLOUR[0], broken]}))


def test_images_of_more_than_8_bits_are_refused(tmp_path):
    deep = png(PIXELS[0, ..., 0].astype(np.uint16) * 256)
    with pytest.raises(ValueError, match=r"sample 0 of .* mode I;16, more than 8 bits"):
        load(write(tmp_path, {"test": [deep]}))


def test_a_split_without_labels_is_absent_and_a_set_without_any_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"has no labels: all of them are missing"):
        load(write(tmp_path / "none", {"test": COLOUR[:2]}, labels=[-1, -1]))
    with pytest.raises(ValueError, match=r"half/test lacks the label of sample 1\. Take such samples out"):
        load(write(tmp_path / "half", {"test": COLOUR[:2]}, labels=[1, -1]))
    write(tmp_path / "some", {"train": COLOUR[:4]})
    with pytest.warns(DataWarning, match=r"some: 1 left out: 'test' \(a split of 2 samples without labels\)"):
        splits = load(write(tmp_path / "some", {"test": COLOUR[4:6]}, labels=[-1, -1]), validation=0)
    assert (len(splits.train), len(splits.test)) == (4, 0)


@pytest.mark.parametrize(
    ("train", "test", "numbers", "names"),
    [
        ([10, 1, 2, 1], [2, 10], [2, 0, 1, 0], ("1", "2", "10")),
        (["emu", "cat", "dog", "emu"], ["cat", "dog"], [2, 0, 1, 2], ("cat", "dog", "emu")),
    ],
)
def test_labels_without_names_are_numbered_over_all_splits(tmp_path, train, test, numbers, names):
    for split, labels, images in (("train", train, COLOUR), ("test", test, COLOUR[::-1])):
        kind = datasets.Value("string" if isinstance(labels[0], str) else "int64")
        features = datasets.Features({"image": datasets.Image(), "label": kind})
        rows = {"image": [{"bytes": b, "path": None} for b in images[: len(labels)]], "label": labels}
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


def test_decoding_happens_once(tmp_path, monkeypatch):
    root = write(tmp_path, {"train": COLOUR[:6], "test": COLOUR[6:]})
    first = load(root)
    monkeypatch.setattr(decoding, "_stacked", None)  # without it nothing can be decoded
    second = load(root)
    assert torch.equal(first.train.x, second.train.x)
    assert torch.equal(first.test.x, second.test.x)


def test_changed_images_are_decoded_anew(tmp_path):
    load(write(tmp_path / "a", {"test": COLOUR}))
    swapped = load(write(tmp_path / "b", {"test": COLOUR[::-1]}))
    assert torch.equal(swapped.test.x, torch.from_numpy(PIXELS[::-1].transpose(0, 3, 1, 2).copy()))


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
