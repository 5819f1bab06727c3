"""Damaged .npy files through `spikelet run`, and some through `verify` and `profile`."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

import numpy as np

from spikelet import save
from spikelet.cli.images import Wanted, pictures_of
from tests.fuzz.damage import damaged
from tests.fuzz.damaged_pictures import small_model
from tests.fuzz.fuzz_artifact import changed_text
from tests.fuzz.judge import Fault, command, read

SHAPE, STEPS = (1, 8, 8), 2


class DamagedArrays:
    """One damaged array after another; `folder` is for their files."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "array.npy"
        self.model = folder / "model.safetensors"
        save(small_model(), self.model)
        self.whole = _arrays()

    def attempt(self, rng: random.Random) -> str:
        """Reads one array in each way; says what came of it."""
        data = rng.choice(self.whole)
        self.path.write_bytes(_header_changed(data, rng) if rng.random() < 0.6 else damaged(data, rng))
        found = read(lambda: [p.pixels.reshape(-1) for p in pictures_of([str(self.path)], Wanted(SHAPE, STEPS))])
        whole = None if found is None else np.load(self.path, allow_pickle=False).reshape(-1)
        if found is not None and not np.array_equal(np.concatenate(found), whole):
            raise Fault("the array that was used is not the one in the file")
        for name in ("run", *(("verify", "profile") if rng.randrange(10) == 0 else ())):
            if (command(name, self.model, self.path) is None) != (found is None):
                raise Fault(f"the reader and {name} do not agree whether it can be used")
        return "used" if found is not None else "refused"


def _header_changed(data: bytes, rng: random.Random) -> bytes:
    """A file with its header's text changed and its length made right."""
    if not data.startswith(b"\x93NUMPY"):
        return damaged(data, rng)
    end = 10 + int.from_bytes(data[8:10], "little")
    text = changed_text(data[10:end].decode("latin-1"), rng).encode("latin-1", "replace")
    return data[:8] + (len(text) % 65536).to_bytes(2, "little") + text + data[end:]


def _arrays() -> list[bytes]:
    pixels = np.random.default_rng(2).integers(0, 256, (STEPS, *SHAPE)).astype(np.uint8)
    odd = [pixels.astype(kind) for kind in (">f4", np.int64, np.complex128, bool)]
    kinds = [pixels[0], pixels, np.asfortranarray(pixels), pixels[0, 0], np.array(5, np.uint8), pixels[:0], *odd]
    files = []
    for array in kinds:
        out = io.BytesIO()
        np.save(out, array)
        files.append(out.getvalue())
    structured, zipped = io.BytesIO(), io.BytesIO()
    np.save(structured, np.zeros(3, [("é", "u1"), ("b", "f4")]))
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("x.npy", files[0])
    return [*files[:4], *files, structured.getvalue(), zipped.getvalue()]
