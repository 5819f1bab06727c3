"""Models that ship with the package, packed, each beside its card.

names()            what there is, such as "qsnn-vgg-s-fashion-mnist"
load(name_or_path) the IntGraph of a shipped model or of any packed file
card(name)         its model card: data, seed, commit, accuracy, bytes
"""

from __future__ import annotations

import os
from pathlib import Path

from spikelet.base.errors import NoSuchFile
from spikelet.base.meant import meant
from spikelet.base.paths import path_of as path_given
from spikelet.graph.file import artifact
from spikelet.graph.ir import IntGraph

_FOLDER = Path(__file__).parent / "models"


def names() -> list[str]:
    """Names of the shipped models, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.safetensors"))


def path_of(name_or_path: str | os.PathLike[str]) -> Path:
    """The file that `load` reads.

    Raises:
        NoSuchFile: neither a file nor a shipped model; says which there are.
    """
    path = path_given(name_or_path, "name_or_path")
    if not path.exists() and str(name_or_path) in names():
        path = _FOLDER / f"{name_or_path}.safetensors"
    if not path.exists():
        raise NoSuchFile(
            f"no file {str(name_or_path)!r}, and no such model ships with spikelet.{meant(str(name_or_path), names())} "
            f"There are: {', '.join(names())}."
        )
    return path


def load(
    name_or_path: str | os.PathLike[str],
    *,
    max_bytes: int | None = None,
    max_operations: int | None = None,
) -> IntGraph:
    """The graph of a packed file, or of a shipped model by name.

    Example:
        >>> graph = spikelet.load("qsnn-vgg-s-cifar10")
        >>> graph.labels[:3]
        ('airplane', 'automobile', 'bird')

    Args:
        name_or_path: a file wins over a shipped model of the same name.
        max_bytes, max_operations: the most that the file may ask for, see `spikelet.graph.file.artifact.load`.
    Raises:
        NoSuchFile: neither a file nor a shipped model; says which there are.
        ArtifactError, GraphError: the file is damaged; names the field.
    """
    return artifact.load(path_of(name_or_path), max_bytes=max_bytes, max_operations=max_operations)


def card(name: str) -> str:
    """The model card of a shipped model, Markdown.

    Raises:
        NoSuchFile: no such model.
    """
    path = _FOLDER / f"{name}.md"
    if not path.exists():
        raise NoSuchFile(
            f"no model {name!r} ships with spikelet.{meant(name, names())} There are: {', '.join(names())}."
        )
    return path.read_text()
