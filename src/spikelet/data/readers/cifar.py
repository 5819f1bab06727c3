"""CIFAR-10 and CIFAR-100, from the hub or from the parquet files of its two data sets in a folder.

A folder of other classes is refused, so that no figure stands under the name of a data set that it was not measured on.
Source: Krizhevsky 2009, "Learning multiple layers of features from tiny images".
"""

from __future__ import annotations

import dataclasses

from spikelet.base.errors import DataError
from spikelet.data.classes import listed
from spikelet.data.readers.folder import read_folder
from spikelet.data.readers.hub import read_hub
from spikelet.data.readers.reader import Request
from spikelet.data.samples import DataSplits

OBJECTS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def read_cifar10(request: Request) -> DataSplits:
    """Ten classes, x uint8 [N, 3, 32, 32]; raises what `read_hub` and `read_folder` do, and DataError where a folder
    has other classes."""
    found = _read(request, "uoft-cs/cifar10", None)
    if strange := [name for name in found.train.labels if name not in OBJECTS]:
        raise DataError(
            f"{str(request.root)!r} has the classes {listed(strange)}, and {request.name} {listed(OBJECTS)}. It is "
            "another data set: load it by its own path (on the command line --data PATH)."
        )
    return found


def read_cifar100(request: Request) -> DataSplits:
    """The 100 fine classes, x uint8 [N, 3, 32, 32]; raises what `read_hub` and `read_folder` do. A folder must have
    its columns, img and fine_label."""
    return _read(request, "uoft-cs/cifar100", ("img", "fine_label"))


def _read(request: Request, hub_id: str, columns: tuple[str, str] | None) -> DataSplits:
    request = dataclasses.replace(request, columns=request.columns or columns)
    return read_hub(hub_id, request) if request.root is None else read_folder(request)
