"""Folders of tables: which files are read, by which split, and that no cell reaches a file outside of the folder."""

from __future__ import annotations

import os
import re
import warnings

import numpy as np
import pytest
import torch

from spikelet.base.errors import DataError, DataWarning, SpikeletError
from spikelet.data import load
from spikelet.data.readers import decoding, encoded, room, tables
from tests.data.sources import COLOUR, PIXELS, cells, datasets, parquet, put, pyarrow, table, write


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """Nothing is left in the user's caches, and the library's own is out of reach: a folder needs none."""
    monkeypatch.setenv("SPIKELET_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", "/proc/none")
    monkeypatch.setattr(datasets, "load_dataset", None)


def refused(root, **options) -> str:
    """The one sentence by which a folder is refused."""
    with pytest.raises(DataError) as error:
        load(root, **({"validation": 0} | options))
    return str(error.value)


def at(path: object) -> dict[str, object]:
    """A cell that names a file."""
    return {"bytes": None, "path": str(path)}


@pytest.mark.parametrize(
    "make", ["fifo", "device", "outside", "dots", "link", "folder", "lost", "long", "nul", "url", "huge"]
)
def test_a_cell_that_names_another_file_is_refused_by_its_sample(make, tmp_path):
    root = tmp_path / "set"
    private = put(tmp_path / "private.png", 7)
    put(root / "inside.png", 8)
    if make == "fifo":
        os.mkfifo(root / "fifo")
    if make == "link":
        (root / "link.png").symlink_to(private)
    if make == "huge":
        with (root / "huge").open("wb") as file:
            file.truncate(1 << 36)
    path = {
        "fifo": root / "fifo", "device": "/dev/zero", "outside": private, "dots": "../private.png", "link": "link.png",
        "folder": ".", "lost": "nothing.png", "long": "a" * 100_000, "nul": "a\0b", "url": "hf://datasets/a/b.png",
        "huge": "huge",
    }[make]  # fmt: skip
    table(root / "test.parquet", [*cells(COLOUR[:1]), at(path)], [0, 1])
    said = refused(root)
    if make == "link":
        assert "link.png' is a link" in said
    else:
        assert "the picture of sample 1 of set/test is said to lie at" in said
    assert len(said) < 1000


def test_a_cell_may_name_a_file_of_the_folder(tmp_path):
    put(tmp_path / "images" / "a.png", 8)
    put(tmp_path / "images" / "b.png", 9)
    paths = [at("images/a.png"), at(tmp_path / "images" / "b.png"), at("data/../images/a.png")]
    table(tmp_path / "data" / "test.parquet", paths, [0, 1, 1])
    with pytest.warns(DataWarning, match="a picture beside tables, read only where one of them names it"):
        assert load(tmp_path).test.x[:, 0, 0, 0].tolist() == [8, 9, 8]


@pytest.mark.parametrize("cell", [None, {"bytes": None, "path": None}, {"bytes": None, "path": ""}])
def test_an_empty_cell_is_named(cell, tmp_path):
    table(tmp_path / "set" / "train.parquet", [*cells(COLOUR[:1]), cell], [0, 1])
    assert "sample 1 of set/train has no image: its cell is empty" in refused(tmp_path / "set")


def test_a_damaged_cell_is_named_by_its_sample_and_file(tmp_path):
    table(tmp_path / "set" / "train.parquet", [{"bytes": b"no picture", "path": "a/9.png"}], [0])
    with pytest.raises(SpikeletError, match=r"^sample 0 of set/train \('9\.png'\) cannot be used: "):
        load(tmp_path / "set")


def test_a_cell_of_too_many_bytes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(encoded, "MAX_FILE_BYTES", 10)
    write(tmp_path / "set", {"test": COLOUR[:2]})
    assert "sample 0 of set/test is a picture of" in refused(tmp_path / "set")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("data/train-00000-of-00001.parquet", "train"),
        ("mnist-TEST.parquet", "test"),
        ("default/validation/0000.PARQUET", "validation"),
        ("set_dev_1.parquet", "validation"),
        ("anything.parquet", "train"),
    ],
)
def test_the_split_is_a_word_in_the_path(name, split, tmp_path):
    table(tmp_path / name, cells(COLOUR[:2]), [0, 1])
    splits = load(tmp_path, validation=0)
    assert {s for s in ("train", "validation", "test") if len(getattr(splits, s))} == {split}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("train/test.parquet",), "names both test and train"),
        (("traindata.parquet",), "names a split within a longer word"),
        (
            ("train.parquet", "extra.parquet"),
            r"train, validation and test are known, and extra.parquet would be left out",
        ),
        (("a/train.parquet", "b/train.parquet"), "holds a data set in each of 'a', 'b'. Give one of them"),
    ],
)
def test_a_table_of_no_known_split_is_refused_by_name(names, said, tmp_path):
    for k, name in enumerate(names):
        table(tmp_path / name, cells(COLOUR[2 * k : 2 * k + 2]), [0, 1])
    assert said in refused(tmp_path)


def test_an_extra_table_beside_training_and_test_is_named(tmp_path):
    for k, name in enumerate(("train", "test", "extra")):
        table(tmp_path / f"{name}.parquet", cells(COLOUR[2 * k : 2 * k + 2]), [0, 1])
    (tmp_path / "README.md").write_text("---\nconfigs:\n- config_name: default\n  data_files: /etc/*\n---\n")
    with pytest.warns(DataWarning, match=r"2 left out: 'extra.parquet' \(a table of no known split\), 'README.md'"):
        splits = load(tmp_path, validation=0)
    assert (len(splits.train), len(splits.test)) == (2, 2)


def test_tables_of_a_split_are_read_in_the_order_of_their_names(tmp_path):
    for k in (1, 0, 2):
        table(tmp_path / f"train-{k}.parquet", cells(COLOUR[2 * k : 2 * k + 2]), [0, 1])
    assert torch.equal(load(tmp_path, validation=0).train.x, torch.from_numpy(PIXELS[:6].transpose(0, 3, 1, 2)))


def test_a_path_is_no_pattern(tmp_path):
    assert len(load(write(tmp_path / "set [a]*", {"test": COLOUR[:2]})).test) == 2


def test_classes_of_tables_meet_by_name(tmp_path):
    kinds = [datasets.ClassLabel(names=names) for names in (["cat", "dog"], ["dog", "emu", "cat"])]
    table(tmp_path / "train.parquet", cells(COLOUR[:2]), [0, 1], kinds[0])
    table(tmp_path / "test.parquet", cells(COLOUR[2:4]), [0, 2], kinds[1])
    splits = load(tmp_path, validation=0)
    assert splits.train.labels == splits.test.labels == ("cat", "dog")
    assert (splits.train.y.tolist(), splits.test.y.tolist()) == ([0, 1], [1, 0])


def test_tables_with_other_columns_than_each_other_are_refused(tmp_path):
    table(tmp_path / "train.parquet", cells(COLOUR[:2]), [0, 1])
    table(tmp_path / "test.parquet", cells(COLOUR[2:4]), ["a", "b"], datasets.Value("string"))
    assert "the column 'label' is of type ClassLabel in" in refused(tmp_path)


@pytest.mark.parametrize(
    ("labels", "kind", "said"),
    [
        ([0, None], datasets.Value("int64"), "set/train lacks the label of sample 1"),
        ([0, 7], None, "set/train gives sample 1 the label '7', and its classes are numbered 0 .. 1"),
        (["a", "b" * 2000], datasets.Value("string"), "a label of '.*train.parquet' has 2000 letters"),
    ],
)
def test_a_label_that_is_no_class_is_named(labels, kind, said, tmp_path):
    path = table(tmp_path / "set" / "train.parquet", cells(COLOUR[:2]), [0, 1])
    content = parquet.read_table(path)
    schema = content.schema
    if kind is not None:
        schema = datasets.Features({"img": datasets.Image(), "label": kind}).arrow_schema
    made = pyarrow.table({"img": content["img"], "label": pyarrow.array(labels)}, schema=schema)
    parquet.write_table(made, path)
    with pytest.raises(DataError, match=said):
        load(tmp_path / "set")


def test_arrow_files_are_read_as_parquet_files_are(tmp_path):
    content = parquet.read_table(table(tmp_path / "a" / "test.parquet", cells(COLOUR), [0, 1] * 5))
    for name, write_as in (("stream", pyarrow.ipc.new_stream), ("file", pyarrow.ipc.new_file)):
        (tmp_path / name).mkdir()
        with write_as(tmp_path / name / "test.arrow", content.schema) as file:
            file.write_table(content)
        splits = load(tmp_path / name)
        assert torch.equal(splits.test.x, torch.from_numpy(PIXELS.transpose(0, 3, 1, 2)))


@pytest.mark.parametrize("name", ["test.parquet", "test.arrow"])
def test_a_damaged_table_is_refused_by_its_name(name, tmp_path):
    whole = table(tmp_path / "a.parquet", cells(COLOUR[:4]), [0, 1] * 2).read_bytes()
    (tmp_path / "a.parquet").unlink()
    middle = bytearray(whole)
    middle[len(whole) // 2 :] = bytes(len(whole) - len(whole) // 2)
    for content in (b"", b"PAR1", b"ARROW1", whole[:-40], bytes(middle), b"PAR1" + bytes(100) + b"PAR1"):
        (tmp_path / name).write_bytes(content)
        assert f"{name}' cannot be read as a table: " in refused(tmp_path)


def test_tables_without_rows_are_refused(tmp_path):
    table(tmp_path / "test.parquet", [], [])
    assert "have no rows" in refused(tmp_path)
    table(tmp_path / "train.parquet", cells(COLOUR[:2]), [0, 1])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert len(load(tmp_path, validation=0).train) == 2
    assert "the test set has no rows" in str(said[0].message)


def test_columns_that_cannot_be_names_are_refused(tmp_path):
    write(tmp_path, {"test": COLOUR[:2]})
    for wrong in ("img", ("img",), ("img", "label", "x"), (1, 2), ("label", "img")):
        assert "must be a column of images and one of labels" in refused(tmp_path, columns=wrong)


def test_a_set_that_does_not_fit_in_memory_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    write(tmp_path / "set", {"test": COLOUR[:2]})
    monkeypatch.setattr(room, "MAX_BYTES", 2 << 30)
    monkeypatch.setattr(decoding, "read_picture", None)
    write(tmp_path / "set", {"test": [*COLOUR] * 2})
    assert "set/test would take 4 GiB of memory, more than the 2 GiB held here" in refused(
        tmp_path / "set", image_size=8192
    )


def test_a_few_bytes_that_stand_for_millions_of_rows_are_refused(tmp_path):
    count = tables.FEW_ROWS * 8
    nothing = pyarrow.nulls(count, pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()}))
    table(tmp_path / "test.parquet", nothing, pyarrow.array(np.zeros(count, np.int64)))
    assert re.search(
        r"has 524288 rows in \d+ bytes; at most 16777216 rows are read, and no more than bytes", refused(tmp_path)
    )


def test_a_table_that_unpacks_to_far_more_than_it_is_long_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MOST_UNPACKED", 1 << 20)
    padded = COLOUR[0] + bytes(1 << 18)
    table(tmp_path / "test.parquet", cells([padded] * 16), [0, 1] * 8)
    assert "take more than" in refused(tmp_path)
    assert "Store the pictures as they are, each once" in refused(tmp_path)
