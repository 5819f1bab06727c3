"""CIFAR-10 and CIFAR-100, from the hub or from the parquet files of its two data sets in a folder.

Source: Krizhevsky 2009, "Learning multiple layers of features from tiny images".
"""

from __future__ import annotations

import dataclasses

from spikelet.data.readers.folder import read_folder
from spikelet.data.readers.hub import read_hub
from spikelet.data.readers.reader import Request
from spikelet.data.samples import DataSplits


def read_cifar10(request: Request) -> DataSplits:
    """Ten classes, x uint8 [N, 3, 32, 32]; raises what `read_hub` and `read_folder` do."""
    return _read(request, "uoft-cs/cifar10", None)


def read_cifar100(request: Request) -> DataSplits:
    """The 100 fine classes, x uint8 [N, 3, 32, 32]; raises what `read_hub` and `read_folder` do."""
    return _read(request, "uoft-cs/cifar100", ("img", "fine_label"))


def _read(request: Request, hub_id: str, columns: tuple[str, str] | None) -> DataSplits:
    request = dataclasses.replace(request, columns=request.columns or columns)
    return read_hub(hub_id, request) if request.root is None else read_folder(request)
