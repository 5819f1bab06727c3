"""Samples that lie in two of the three parts of a data set, byte for byte."""

from __future__ import annotations

import hashlib

from spikelet.data.reading import bounded
from spikelet.data.samples import DataSplits, Samples


def shared(splits: DataSplits) -> list[str]:
    """A sentence for each two parts that hold the same pixels: how many of the second's samples, and which."""
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    seen: dict[str, dict[bytes, int]] = {}
    said = []
    for name, samples in parts.items():
        digests = _digests(samples)
        for other, known in seen.items():
            same = [f"{name}[{k}] = {other}[{known[d]}]" for k, d in enumerate(digests) if d in known]
            if same:
                said.append(
                    f"{samples.name}: {len(same)} of the {len(samples)} {name} samples are in the {other} set too, "
                    f"pixel for pixel: {bounded(same)}."
                )
        seen[name] = {digest: k for k, digest in enumerate(digests)}
    return said


def _digests(samples: Samples) -> list[bytes]:
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in samples.x.numpy()]
