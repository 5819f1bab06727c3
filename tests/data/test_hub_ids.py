"""Data sets of the hub: no code of theirs runs, caches are told from data, and cells stay in the library's folders."""

from __future__ import annotations

import errno
from types import SimpleNamespace

import pytest

from spikelet.base.errors import DataError, DataWarning, MissingLibrary
from spikelet.data import load
from spikelet.data.readers import hub
from tests.data.sources import COLOUR, LABELS, datasets, put


@pytest.fixture(autouse=True)
def _own_caches(tmp_path, monkeypatch):
    """Nothing is left in the user's caches, and nothing found there."""
    monkeypatch.setenv("SPIKELET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def serve(monkeypatch, splits: dict[str, list[object]]) -> None:
    """Lets the library find these image cells under any id."""
    features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=LABELS)})
    found = datasets.DatasetDict(
        {
            split: datasets.Dataset.from_dict(
                {"img": cells, "label": [k % 2 for k in range(len(cells))]}, features=features
            )
            for split, cells in splits.items()
        }
    )
    monkeypatch.setattr(datasets, "load_dataset", lambda source: found)


def fail(monkeypatch, error: Exception) -> None:
    """Lets the library fail."""

    def failing(source: str) -> None:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", failing)


def held(start: int, stop: int) -> list[object]:
    """Cells that hold their pictures."""
    return [{"bytes": data, "path": None} for data in COLOUR[start:stop]]


def test_an_id_gives_what_the_library_finds(monkeypatch):
    serve(monkeypatch, {"train": held(0, 4), "valid": held(4, 6), "test": held(6, 10)})
    splits = load("owner/name")
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (4, 2, 4)
    assert splits.reading is not None
    assert splits.reading.samples == (("train", (2, 2)), ("validation", (1, 1)), ("test", (2, 2)))


def test_a_split_that_would_be_left_out_is_refused_or_named(monkeypatch):
    serve(monkeypatch, {"train": held(0, 4), "extra": held(4, 6)})
    with pytest.raises(DataError, match=r"validation and test are known, and \['extra'\] would be left out"):
        load("owner/name")
    serve(monkeypatch, {"extra": held(4, 6)})
    with pytest.raises(DataError, match=r"has the splits \['extra'\]; train, validation and test are known"):
        load("owner/name")
    serve(monkeypatch, {"train": held(0, 4), "test": held(6, 8), "extra": held(4, 6)})
    with pytest.warns(DataWarning, match=r"1 left out: 'extra' \(a split of 2 samples, none of the three known\)"):
        load("owner/name")
    serve(monkeypatch, {"val": held(0, 4), "dev": held(4, 6)})
    with pytest.raises(DataError, match=r"has the splits \['val', 'dev'\], which are one"):
        load("owner/name")


def test_a_cell_reaches_files_of_the_library_s_caches_only(monkeypatch, tmp_path):
    inside = put(tmp_path / "hub" / "datasets--owner--name" / "blobs" / "a", 7)
    unpacked = put(tmp_path / "datasets" / "downloads" / "b.png", 8)
    serve(monkeypatch, {"test": [{"bytes": None, "path": str(path)} for path in (inside, unpacked)]})
    assert load("owner/name").test.x[:, 0, 0, 0].tolist() == [7, 8]
    for wrong in (put(tmp_path / "private.png", 9), "/dev/zero", put(tmp_path / "hub" / "datasets--a--b" / "c.png", 1)):
        serve(monkeypatch, {"test": [{"bytes": None, "path": str(wrong)}]})
        with pytest.raises(
            DataError, match=r"the picture of sample 0 of owner/name/test is said to lie at '.*', outside"
        ):
            load("owner/name")
    serve(monkeypatch, {"test": [*held(0, 1), None]})
    with pytest.raises(DataError, match=r"sample 1 of owner/name/test has no image"):
        load("owner/name")


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (
            ConnectionError("offline"),
            FileNotFoundError,
            r"could be read from 'a/b': offline \(An id owner/name must be",
        ),
        (datasets.exceptions.DatasetGenerationError("bad"), DataError, r"'a/b' was found and cannot be read: bad"),
        (
            RuntimeError("Dataset scripts are no longer supported"),
            DataError,
            r"no longer supported \(No code that comes",
        ),
        (KeyError("x"), DataError, r"the data set 'a/b' cannot be read: 'x'"),
        (PermissionError(errno.EACCES, "Permission denied", "~"), DataError, r"its cache '.*datasets'.* Set HF_HOME"),
        (RuntimeError("Could not determine home directory."), DataError, r"its cache '.*': Could not.* Set HF_HOME"),
        (OSError(errno.ENOSPC, "No space left on device"), DataError, r"its cache '.*': .*No space left.* Set HF_HOME"),
        (OSError(errno.EROFS, "Read-only file system"), DataError, r"its cache '.*': .*Read-only.* Set HF_HOME"),
    ],
)
def test_each_trouble_of_the_library_is_one_sentence(error, kind, said, monkeypatch):
    fail(monkeypatch, error)
    with pytest.raises(kind, match=said):
        load("a/b")


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_known_names_are_asked_for_by_their_ids(name, monkeypatch):
    fail(monkeypatch, ConnectionError("offline"))
    with pytest.raises(FileNotFoundError, match=rf"no image data set could be read from 'uoft-cs/{name}': offline"):
        load(name)


def test_a_library_that_can_run_code_of_data_sets_is_refused(monkeypatch):
    monkeypatch.setattr(hub, "need", lambda *names, **words: SimpleNamespace(__version__="3.6.0"))
    with pytest.raises(MissingLibrary, match=r"datasets 3\.6\.0 can run code that comes with a data set\. Install 4"):
        load("owner/name")


@pytest.mark.parametrize("name", ["a/b/c", "/a", "a/", "../b", "a/..", "~/b", "a b/c", "http:" + "//a", "a/b.py\n"])
def test_a_name_that_is_no_id_never_reaches_the_library(name, monkeypatch):
    monkeypatch.setattr(datasets, "load_dataset", None)
    with pytest.raises(FileNotFoundError, match="was not found: it must be a folder, an id owner/name"):
        load(name)


def test_a_file_is_no_id(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.py").write_text("raise SystemExit\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets, "load_dataset", None)
    with pytest.raises(FileNotFoundError, match="was not found"):
        load("a/b.py")
