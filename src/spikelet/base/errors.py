"""Every error of spikelet: each is a `SpikeletError` and names what is wrong and the way out.

What the user got wrong is always one: an argument, a file, data, a network. It is a ValueError too, and where Python
has a closer word also that one: TypeError (`WrongType`), FileNotFoundError (`NoSuchFile`), IsADirectoryError
(`IsAFolder`), ImportError (`MissingLibrary`). What the system refuses, such as a full disk, stays the OSError it is.
"""

from __future__ import annotations

import os

from spikelet.base.text import one_line


class SpikeletError(ValueError):
    """Base of all errors that spikelet raises on purpose; its words are one line that is fit to print.

    Example:
        >>> try:
        ...     spikelet.create_model("qsnn_vgg")
        ... except spikelet.SpikeletError as error:
        ...     print(error)
        no model named 'qsnn_vgg'. There are: ... Did you mean 'qsnn_vgg_s'?
    """

    def __str__(self) -> str:
        return one_line(super().__str__())


class WrongType(SpikeletError, TypeError):
    """An argument of another type than the one that is taken; names both, and the way out."""


class NoSuchFile(SpikeletError, FileNotFoundError):
    """Nothing of this name is there: no file, folder, data set or model; says what there is."""


class IsAFolder(SpikeletError, IsADirectoryError):
    """A folder, where a file is asked for; names it."""


def in_words(error: BaseException) -> str:
    """What an exception says; an OSError of the system without its number: "x.npy: Permission denied"."""
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        files = [os.fsdecode(f) for f in (error.filename, error.filename2) if isinstance(f, str | bytes | os.PathLike)]
        return f"{' and '.join(files)}: {error.strerror}" if files else error.strerror
    return str(error).strip()


def names_its_place(error: BaseException) -> bool:
    """Whether an error says where it arose, as every kind of ours does but those of an argument, which the layer or
    function raises that was given it."""
    return isinstance(error, SpikeletError) and type(error) not in (SpikeletError, WrongType)


class GraphError(SpikeletError):
    """A graph that has no meaning: unknown name, wrong shape, value out of range."""


class OverflowRefused(GraphError):
    """An edge whose interval does not fit its integers; names the node and the interval.

    reason: without the way out.
    """

    def __init__(self, reason: str, way_out: str = "") -> None:
        super().__init__(f"{reason} {way_out}".rstrip())
        self.reason = reason


class ArtifactError(SpikeletError):
    """A file that is not a valid packed graph; names the field."""


class FileRefused(SpikeletError):
    """A file that is not read: no regular file, or longer than is allowed; names it."""


class PictureError(SpikeletError):
    """A picture that can't be used; names it, and why."""


class DataError(SpikeletError):
    """A data set that can't be used as it is; names the file, sample or column, and the way out."""


class DataWarning(UserWarning):
    """Something of a data set that is used and may surprise: files left out, samples in two splits."""


class RuntimeUnavailable(SpikeletError):
    """The native library, or one of its kernel sets, is not there."""


class TimeAxisError(SpikeletError):
    """A batch whose layout is not the one that `time_axis` declares; names the shape and the way out."""


class MissingLibrary(SpikeletError, ImportError):
    """An optional library that is not installed; names the extra that installs it."""


class AccuracyWarning(UserWarning):
    """A compression pass that costs more than 10 points of accuracy; names the pass, the loss and the way out."""


class PartialWarning(UserWarning):
    """A network that is evaluated at another ratio of partial information than that of its training."""


class RunError(SpikeletError):
    """A module whose forward fails on the input it was given; names the layer, and why."""


class LoweringError(SpikeletError):
    """A module that can't become integers; names it, and why.

    Example:
        >>> net = torch.nn.Sequential(spikelet.nn.Encode(), spikelet.LIF(2), torch.nn.GELU())
        >>> try:
        ...     spikelet.lower(net, torch.zeros((1, 1, 4, 4), dtype=torch.uint8))
        ... except spikelet.LoweringError as error:
        ...     print(error)
        2 (gelu): the tensor function 'gelu' has no integer form. ...
    """


class ConversionError(SpikeletError):
    """A module of another library that can't become spikelet layers; names it, and the way out."""


class CompressionError(SpikeletError):
    """A compression that can't be done; names the layer, channel or argument in the way, and the way out."""


class BudgetError(SpikeletError):
    """A budget that no plan can meet; says which, and what the smallest network needs."""


class CheckpointError(SpikeletError):
    """A run folder that can't be used; says which file and why."""
