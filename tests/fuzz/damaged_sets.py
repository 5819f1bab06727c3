"""Damaged data sets and run folders: recordings in zips, IDX files, cells of parquet files, and a run's files."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from spikelet.data import load
from spikelet.data.samples import DataSplits
from spikelet.train import Phase, Run, TrainConfig
from tests.data.test_idx import idx_bytes
from tests.data.test_nmnist import recording
from tests.fuzz.damage import damaged
from tests.fuzz.fuzz_artifact import change_tree, changed_text
from tests.fuzz.judge import command, read

PATHS = (
    None, "", ".", "..", "a.png", "../a.png", "/dev/zero", "/etc/hostname", "/dev/stdin", "data", "pipe", "https:x",
    "zip://a.png::data.zip", "a\0b", "x" * 5000, "\x1b[31mred",
)  # fmt: skip
LABELS = (None, -1, 0, 1, 2, 10**9, -(2**63), 2**63 - 1)


class DamagedSets:
    """One damaged set or run folder after another; `folder` is for their files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        os.environ["SPIKELET_CACHE"] = str(folder / "cache")
        datasets.config.HF_DATASETS_CACHE = folder / "datasets"
        datasets.disable_progress_bars()
        self.run = _trained(folder / "run")
        if command("eval", self.run) is None:  # leaves result.json, which `pack` asks for
            raise RuntimeError("the run that is to be damaged is refused undamaged: nothing would be tried")
        self.files = {path.name: path.read_bytes() for path in sorted(self.run.iterdir()) if path.is_file()}
        self.ways: tuple[Callable[[random.Random], bool], ...] = (self.zips, self.idx, self.cells, self.runs, self.runs)

    def attempt(self, rng: random.Random) -> str:
        """Reads one of them; says what came of it."""
        way = rng.choice(self.ways)
        place = self.folder / "place"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        used = way(rng)
        return f"{way.__name__}: {'used' if used else 'refused'}"

    def zips(self, rng: random.Random) -> bool:
        """Recordings in a zip, through the reader and through `eval` of a run."""
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
            for k in range(rng.randrange(4)):
                content = recording(k)[0]
                archive.writestr(f"Train/{k}/{k:05}.bin", damaged(content, rng) if rng.random() < 0.2 else content)
        (self.folder / "place" / "train.zip").write_bytes(damaged(out.getvalue(), rng))
        found = read(lambda: load("nmnist", root=self.folder / "place", time_steps=3, validation=0))
        if rng.randrange(8) == 0:
            command("eval", self.run, "--data", "nmnist", "--data-root", self.folder / "place", "--split", "train")
        return found is not None

    def idx(self, rng: random.Random) -> bool:
        """The four files of MNIST, one of them damaged."""
        names = (
            "train-images-idx3-ubyte",
            "train-labels-idx1-ubyte",
            "t10k-images-idx3-ubyte",
            "t10k-labels-idx1-ubyte",
        )
        hurt, packed = rng.choice(names), rng.random() < 0.5
        for name in names:
            array = np.arange(5 * 64, dtype=np.uint8).reshape(5, 8, 8) if "3" in name else np.arange(5, dtype=np.uint8)
            data = idx_bytes(array)
            if name == hurt and rng.random() < 0.7:
                data = damaged(data, rng)
            data = gzip.compress(data) if packed else data
            data = damaged(data, rng) if name == hurt and rng.random() < 0.5 else data
            (self.folder / "place" / f"{name}{'.gz' if packed else ''}").write_bytes(data)
        found = read(lambda: load(self.folder / "place", validation=0))
        if rng.randrange(8) == 0:
            command("eval", self.run, "--data", self.folder / "place")
        return found is not None

    def cells(self, rng: random.Random) -> bool:
        """A parquet file whose cells hold what they should not, or which is damaged itself."""
        place = self.folder / "place"
        os.mkfifo(place / "pipe")
        rows = [_cell(rng) for _ in range(rng.choice((0, 1, 1, 2, 5)))]
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        label = rng.choice((pa.int64(), pa.string(), pa.float64()))
        values = [v if v is None or pa.types.is_integer(label) else str(v) if label == pa.string() else v + 0.5
                  for v in (rng.choice(LABELS) if rng.random() < 0.1 else k % 2 for k in range(len(rows)))]  # fmt: skip
        table = pa.table({"image": pa.array(rows, kind), "label": pa.array(values, label)})
        if rng.random() < 0.8:
            info = {
                "info": {"features": {"image": {"_type": "Image"}, "label": {"dtype": str(label), "_type": "Value"}}}
            }
            table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
        pq.write_table(table, place / "train.parquet")
        if rng.random() < 0.3:
            path = place / "train.parquet"
            path.write_bytes(damaged(path.read_bytes(), rng))
        size = rng.choice((None, 8))
        found = read(lambda: load(place, validation=0, image_size=size))
        if rng.randrange(8) == 0:
            command("eval", self.run, "--data", place)
        shutil.rmtree(self.folder / "datasets", ignore_errors=True)
        return found is not None

    def runs(self, rng: random.Random) -> bool:
        """A run folder with one file damaged, through a command that reads it."""
        place = self.folder / "place" / "run"
        shutil.copytree(self.run, place)
        name = rng.choice(tuple(self.files))
        data = self.files[name]
        if name.endswith((".json", ".jsonl")):
            data = _json_changed(data, rng)
        (place / name).write_bytes(damaged(data, rng) if not name.endswith(".json") or rng.random() < 0.2 else data)
        words = rng.choice((("eval", place), ("pack", place, "--out", self.folder / "place" / "m.safetensors"),
                            ("profile", place, "--samples", 2), ("train", "--resume", place)))  # fmt: skip
        return command(*words) is not None


def _json_changed(data: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        return changed_text(data.decode(), rng).encode("utf-8", "replace")
    try:
        tree = json.loads(data)
    except ValueError:
        return changed_text(data.decode(), rng).encode("utf-8", "replace")
    change_tree(tree, rng)
    return json.dumps(tree).encode("utf-8", "replace")


def _cell(rng: random.Random) -> Any:
    """One image as parquet files hold it: most are good."""
    out = io.BytesIO()
    Image.new("L", (8, 8), rng.randrange(256)).save(out, rng.choice(("PNG", "BMP")))
    good = {"bytes": out.getvalue(), "path": None}
    return rng.choice((
        *[good] * 7, {**good, "path": rng.choice(PATHS)}, {"bytes": None, "path": rng.choice(PATHS)}, None,
        {"bytes": b"", "path": None}, {"bytes": damaged(good["bytes"], rng), "path": None},
    ))  # fmt: skip


def _trained(folder: Path) -> Path:
    """A run of one step, finished."""
    options = {"time_steps": 2, "in_channels": 1, "image_size": 8, "widths": [4], "weight_bits": 1}
    config = TrainConfig(model="qsnn_vgg_s", model_options=options, data="digits", phases=(Phase(1, 2),), batch_size=64)
    whole = load("digits")
    few = DataSplits(
        *(part.subset(torch.arange(n)) for part, n in ((whole.train, 64), (whole.validation, 8), (whole.test, 8)))
    )
    Run(config, few, folder).train()
    return folder
