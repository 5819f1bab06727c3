"""scikit-learn's handwritten digits: 1,797 grey images of 8 x 8 pixels, ten classes, no download.

    x = floor((255 v + 8) / 16), v = 0 .. 16 the package's own values        (half up)

The package has no test set. Ours is a fixed fifth of each class, the same for everybody and for every seed.
Source: Alpaydin and Kaynak 1998, the test part of UCI's Optical Recognition of Handwritten Digits.
"""

from __future__ import annotations

import numpy as np
import torch

from spikelet.base.errors import DataError
from spikelet.base.optional import need
from spikelet.data.readers.crop import crop_splits
from spikelet.data.readers.reader import Request
from spikelet.data.samples import DataSplits, Samples
from spikelet.data.split import stratified_split

_TEST_FRACTION = 0.2
_TEST_SEED = 0


def read(request: Request) -> DataSplits:
    """Training and test digits, x uint8 [N, 1, 8, 8], cropped to `request.image_size`; no validation part.

    Raises:
        DataError: a folder was given, which would not be looked into.
        ImportError: scikit-learn is not installed.
    """
    if request.root is not None:
        raise DataError(
            f"digits comes with scikit-learn and is read from no folder, got {str(request.root)!r}. Leave root (on the "
            "command line --data-root) out, or give that folder as the data set."
        )
    sklearn_datasets = need("sklearn.datasets", package="scikit-learn", extra="data", what="the digits data set")
    images, target = sklearn_datasets.load_digits(return_X_y=True)
    x = ((images.astype(np.int64) * 255 + 8) // 16).astype(np.uint8).reshape(-1, 1, 8, 8)
    y = torch.from_numpy(target.astype(np.int64))
    everything = Samples(torch.from_numpy(x), y, tuple("0123456789"), "digits", "scikit-learn's 8x8 digits")
    train, test = stratified_split(y, _TEST_FRACTION, _TEST_SEED)
    splits = DataSplits(everything.subset(train), everything.subset(test[:0]), everything.subset(test))
    return crop_splits(splits, request.image_size)
