"""Data sets that other libraries made are taken as they are, sample by sample, or refused in one sentence."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import IterableDataset, Subset, TensorDataset

from spikelet.base.errors import DataError, SpikeletError
from spikelet.data import load
from spikelet.data.readers.frames import by_count, by_duration, frames
from spikelet.train import Phase, Run
from spikelet.train.progress import Silent
from tests.support.training_runs import small_config

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (6, 5, 5), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (6, 3, 5, 5), dtype=np.uint8)
EVENT = np.dtype([("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", bool)])


class Listed:
    """A data set as torch's libraries have them, which counts how often it was asked."""

    def __init__(self, samples: Sequence[Any], **attributes: Any) -> None:
        self.samples, self.asked = samples, 0
        for name, value in attributes.items():
            setattr(self, name, value)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Any:
        self.asked += 1
        return self.samples[index]


def recording(number: int, width: int = 6, height: int = 4) -> np.ndarray:
    rng = np.random.default_rng(number)
    events = np.empty(50, EVENT)
    events["x"], events["y"], events["p"] = (rng.integers(0, high, 50) for high in (width, height, 2))
    events["t"] = np.sort(rng.integers(0, 1000, 50))
    return events


def images(array: np.ndarray) -> list[Any]:
    library = pytest.importorskip("PIL.Image")
    return [library.fromarray(x if x.ndim == 2 else x.transpose(1, 2, 0)) for x in array]


# --- pictures ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["pillow", "rows", "channels first", "channels last", "tensors"])
def test_pixels_come_through_in_every_form(form: str):
    made = {
        "pillow": lambda: images(COLOUR),
        "rows": lambda: list(GREY),
        "channels first": lambda: list(COLOUR),
        "channels last": lambda: list(COLOUR.transpose(0, 2, 3, 1)),
        "tensors": lambda: list(torch.from_numpy(COLOUR)),
    }[form]()
    data = Listed([(x, k % 2) for k, x in enumerate(made)], classes=["ant", "bee"])
    splits = load(data, validation=0)
    expected = GREY[:, None] if form == "rows" else COLOUR
    assert torch.equal(splits.train.x, torch.from_numpy(expected))
    assert splits.train.y.tolist() == [0, 1] * 3
    assert splits.train.labels == ("ant", "bee")
    assert (len(splits.validation), len(splits.test)) == (0, 0)
    assert splits.train.note == "Listed object"
    assert data.asked == 6, "random transforms would give another sample each time"


def test_parts_are_a_dict_and_a_subset_knows_the_classes_of_its_whole():
    whole = Listed([(x, k % 3) for k, x in enumerate(COLOUR)], classes=["a", "b", "c"])
    splits = load({"train": Subset(whole, [0, 1, 2]), "test": Subset(whole, [5, 4])})  # type: ignore[arg-type]
    assert splits.test.labels == ("a", "b", "c")
    assert splits.test.y.tolist() == [2, 1]
    assert torch.equal(splits.test.x, torch.from_numpy(COLOUR[[5, 4]]))
    assert splits.reading is not None
    assert str(splits.reading).startswith("Subset: 3 train, 2 test samples of 3 classes")


def test_torch_s_own_tensor_data_set_is_taken_and_a_part_is_held_out():
    pixels = torch.from_numpy(RNG.integers(0, 256, (24, 3, 8, 8), dtype=np.uint8))
    data = TensorDataset(pixels, torch.arange(24) % 2)
    splits = load(data, validation=0.25, image_size=4)
    assert splits.train.sample_shape == (3, 4, 4)
    assert (len(splits.train), len(splits.validation)) == (18, 6)
    assert splits.train.labels == ("0", "1")


def test_words_are_classes():
    splits = load(Listed(list(zip(GREY, ["cat", "ant", "cat", "bee", "ant", "bee"], strict=True))), validation=0)
    assert splits.train.labels == ("ant", "bee", "cat")
    assert splits.train.y.tolist() == [2, 0, 2, 1, 0, 1]


def test_tables_of_the_library_datasets_are_read_as_those_of_the_hub(tmp_path: Path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"img": datasets.Image(), "kind": datasets.ClassLabel(names=["ant", "bee"])})
    made = datasets.Dataset.from_dict({"img": images(COLOUR), "kind": [0, 1] * 3}, features=features)
    parts = {"train": made.select(range(5)), "test": made.select([5])}
    splits = load(datasets.DatasetDict(parts), validation=0)
    assert torch.equal(splits.train.x, torch.from_numpy(COLOUR[:5]))
    assert splits.train.labels == ("ant", "bee")
    assert torch.equal(splits.test.x[0], torch.from_numpy(COLOUR[5]))
    assert torch.equal(load(parts["train"], validation=0).train.x, splits.train.x)
    images(COLOUR)[0].save(tmp_path / "one.png")
    on_disk = datasets.Dataset.from_dict({"img": [str(tmp_path / "one.png")], "kind": [1]}, features=features)
    assert torch.equal(load(on_disk, validation=0).train.x[0], torch.from_numpy(COLOUR[0]))


# --- events -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("slicing", "slicer"), [("duration", by_duration), ("count", by_count)])
def test_events_are_cut_into_frames(slicing: str, slicer: Any):
    recordings = [recording(k) for k in range(4)]
    data = Listed(list(zip(recordings, [3, 1, 3, 1], strict=True)), sensor_size=(6, 4, 2))
    train = load(data, time_steps=5, slicing=slicing, validation=0).train
    expected = np.stack([frames(events, 5, slicer, 4, 6) for events in recordings])
    assert torch.equal(train.x, torch.from_numpy(expected))
    assert train.labels == ("1", "3")
    assert train.note == "5 frames"
    assert load(data, time_steps=5, image_size=8).train.sample_shape == (5, 2, 8, 8)


def test_frames_that_were_cut_already_are_taken():
    counts = RNG.integers(0, 9, (3, 7, 2, 4, 4))
    train = load(Listed([(x, k) for k, x in enumerate(counts)]), validation=0).train
    assert torch.equal(train.x, torch.from_numpy(counts.astype(np.uint8)))


def test_a_data_set_of_tonic_is_read_as_the_files_are(tmp_path: Path):
    from tests.data.test_nmnist import _zipped

    tonic = pytest.importorskip("tonic")

    class NMNIST(tonic.datasets.NMNIST):
        """Its files as they lie, without a download."""

        def __init__(self, root: Path, part: str) -> None:
            self.transform = self.target_transform = self.transforms = None
            self.first_saccade_only = self.stabilize = False
            found = sorted(root.glob(f"{part}/*/*.bin"))
            self.data, self.targets = [str(path) for path in found], [int(path.parent.name) for path in found]

    for part in ("train", "test"):
        with zipfile.ZipFile(_zipped(tmp_path) / f"{part}.zip") as archive:
            archive.extractall(tmp_path)
    ours = load("nmnist", root=tmp_path, time_steps=3, validation=0)
    theirs = load({"train": NMNIST(tmp_path, "Train"), "test": NMNIST(tmp_path, "Test")}, time_steps=3, validation=0)
    assert torch.equal(theirs.train.x, ours.train.x)
    assert torch.equal(theirs.test.x, ours.test.x)
    assert len(theirs.train.labels) == 10


# --- in a training ----------------------------------------------------------------------------------


def test_a_run_takes_a_data_set_as_it_is_with_the_options_of_its_configuration(tmp_path: Path):
    pixels = RNG.integers(0, 256, (40, 12, 12), dtype=np.uint8)
    data = Listed([(x, k % 2) for k, x in enumerate(pixels)], classes=["ant", "bee"])
    options = {"in_channels": 1, "image_size": 8, "widths": (4, 8), "num_classes": 2, "time_steps": 2}
    config = small_config(phases=(Phase(1, 1),), data="mine", data_options={"image_size": 8}, model_options=options)
    run = Run(config, data, tmp_path / "object", Silent())
    run.train()
    assert run.model.class_names == ("ant", "bee")
    Run(config, load(data, image_size=8), tmp_path / "loaded", Silent()).train()
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("object", "loaded")]
    assert weights[0] == weights[1]


# --- refused ----------------------------------------------------------------------------------------


class Streamed(IterableDataset[Any]):
    """A data set without numbers."""

    def __iter__(self) -> Iterator[Any]:
        return iter([])


def deep(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.uint8)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (Streamed(), {}, "must hold samples by number, or be a dict of such by split, got Streamed"),
        (3, {}, "must hold samples by number, or be a dict of such by split, got int"),
        (None, {}, "got NoneType"),
        (Listed([]), {}, "Listed has no samples"),
        ({"train": Listed([]), "mine": Listed([(GREY[0], 0)])}, {}, "has the splits"),
        (Listed([GREY[0]]), {}, r"sample 0 of Listed/train must be \(x, label\), got ndarray"),
        (Listed([(torch.rand(3, 5, 5), 0)]), {}, r"holds float32; networks read bytes.*ToTensor\(\)"),
        (Listed([(GREY[0].astype(np.int64), 0)]), {}, "holds int64; pixels are bytes"),
        (Listed([("one.png", 0)]), {}, "must be a picture, pixels, events or frames, got str"),
        (Listed([(GREY[0], None)]), {}, "the label of sample 0 of Listed/train must be an integer or a word, got None"),
        (Listed([(GREY[0], torch.tensor([0, 1]))]), {}, "must be an integer or a word"),
        (Listed([(GREY[0], 0.5)]), {}, "must be an integer or a word, got 0.5"),
        (Listed([(GREY[0], 0), (GREY[0], "a")]), {}, "labels of type int and str"),
        (Listed([(GREY[0], 2)], classes=["a", "b"]), {}, "gives sample 0 the label '2', and its classes are numbered"),
        (Listed([(deep(3, 5, 3), 0)]), {}, "it must be clear which"),
        (Listed([(deep(2, 5, 7), 0)]), {}, "it must be clear which"),
        (Listed([(deep(5, 5), 0), (deep(6, 6), 0)]), {}, "Give them one size: image_size="),
        (Listed([(GREY[0], 0)]), {"columns": ("a", "b")}, "goes with tables"),
        (Listed([(GREY[0], 0)]), {"root": "here"}, "root goes with a name, and a Listed is a data set already"),
        (Listed([(recording(0), 0)], sensor_size=(6, 4, 2)), {}, "needs time_steps"),
        (Listed([(recording(0), 0)]), {"time_steps": 2}, "of a sensor_size"),
        (Listed([(recording(0), 0)], sensor_size=(6, 4, 3)), {"time_steps": 2}, "at most 2 polarities"),
        (Listed([(recording(0), 0)], sensor_size=(5, 4, 2)), {"time_steps": 2}, "outside of its sensor_size"),
        (Listed([(recording(0)[:0], 0)], sensor_size=(6, 4, 2)), {"time_steps": 2}, "has no event"),
        (Listed([(recording(0)[["x", "t", "p"]], 0)], sensor_size=(6, 4, 2)), {"time_steps": 2}, "with fields x, y, t"),
        (Listed([(np.full((2, 2, 4, 4), 256), 0)]), {}, "must be frames .* of numbers from 0 to 255"),
        (Listed([(deep(2, 2, 4, 4), 0), (deep(3, 2, 4, 4), 0)]), {}, "sample 1 of Listed/train has frames"),
    ],
)
def test_what_is_no_data_set_of_bytes_is_one_sentence(source: Any, options: dict[str, Any], message: str):
    with pytest.raises((SpikeletError, ValueError), match=message) as caught:
        load(source, **options)
    assert "\n" not in str(caught.value)
    assert not isinstance(caught.value, DataError) or len(str(caught.value)) < 400
