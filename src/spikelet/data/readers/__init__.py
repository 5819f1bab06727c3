"""The data sets that `load` knows, by name. A new one is a file with a function `read`, and a line here."""

from __future__ import annotations

from spikelet.data.readers import cifar, digits, hapt, mnist, nmnist
from spikelet.data.readers.reader import Reader

READERS: dict[str, Reader] = {
    "digits": Reader("scikit-learn's 8x8 digits, no download", digits.read),
    "mnist": Reader("MNIST's four idx files, plain or .gz, in root=", mnist.read_digits),
    "idx": Reader("such files of other sets, in root=; labels are classes", mnist.read_any, mnist.has_idx_files),
    "fashion-mnist": Reader(
        "the same of Fashion-MNIST, in root=, or where Debian's package dataset-fashion-mnist puts them",
        mnist.read_garments,
    ),
    "nmnist": Reader(
        "N-MNIST's train.zip and test.zip, or Train and Test, in root=; needs time_steps=",
        nmnist.read,
        nmnist.has_nmnist_files,
    ),
    "hapt": Reader("30 people's activities felt by a phone: hapt.npz in root=; needs time_steps=", hapt.read),
    "cifar10": Reader("from the Hugging Face hub, or its parquet files in root=", cifar.read_cifar10),
    "cifar100": Reader("the same, with its 100 fine labels", cifar.read_cifar100),
}
