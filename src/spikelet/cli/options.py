"""What options and arguments may be, and what a command with many of them is told, as one value.

The words and their help stand in app.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import click
from click.shell_completion import CompletionItem

from spikelet.base.errors import SpikeletError
from spikelet.base.words import parse_bytes

COUNT = click.IntRange(1, 2**31 - 1)
SEED = click.IntRange(0, 2**32 - 1)
THREADS = click.IntRange(1, 64)
LEVELS = click.IntRange(1, 128)
STEPS = click.IntRange(1, 1024)
RATE = click.FloatRange(1e-6, 1, max_open=True)
Axes = Literal["CHW", "TCHW", "NCHW", "TNCHW"]  # of an array (arrays.py)
AXES: tuple[Axes, ...] = get_args(Axes)


class Name(click.ParamType):
    """A word that names something: it has a letter, and no character that file systems refuse.

    `offered` gives the names that a shell completes besides paths.
    """

    name = "text"

    def __init__(self, offered: Callable[[], Sequence[str]] = tuple) -> None:
        self.offered = offered

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The offered names that begin so; paths where none does."""
        names = [name for name in self.offered() if name.startswith(incomplete)]
        return [*map(CompletionItem, names), *([] if names else [CompletionItem(incomplete, type="file")])]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The word itself; a usage error where it names nothing."""
        if not str(value).strip():
            self.fail(f"must name something, got {str(value)!r}.", param, ctx)
        if "\0" in str(value):
            self.fail(f"has a zero character, which no name may hold: {str(value)!r}.", param, ctx)
        return value


class PathName(Name):
    """The path of a file or a folder."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path; a usage error where it names nothing."""
        return Path(super().convert(value, param, ctx))


class Bits(click.ParamType):
    """Bits of a weight or a membrane, `least` to 8, or 32 for floats."""

    name = "bits"

    def __init__(self, least: int) -> None:
        self.least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; a usage error where there is no such precision."""
        bits = click.INT.convert(value, param, ctx)
        if bits != 32 and not self.least <= bits <= 8:
            self.fail(f"must be {self.least} to 8, or 32 for floats, got {bits}.", param, ctx)
        return bits


class Above0(click.ParamType):
    """A number above 0."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number; a usage error where it is another text, or out of range."""
        number = click.FLOAT.convert(value, param, ctx)
        if not 0 < number < float("inf"):
            self.fail(f"must be a number above 0, got {value}.", param, ctx)
        return number


class Size(click.ParamType):
    """A number of bytes, such as 100000, 100k or 96Ki."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; a usage error where it says no size."""
        try:
            return value if isinstance(value, int) else parse_bytes(value)
        except SpikeletError as error:
            self.fail(str(error), param, ctx)


class Share(click.ParamType):
    """A share of a whole, 0 <= share < 1."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number; a usage error where it is another text, or out of range."""
        share = click.FLOAT.convert(value, param, ctx)
        if not 0 <= share < 1:
            self.fail(f"must lie in [0, 1), got {value}.", param, ctx)
        return share


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What `spikelet train` is told; None where nothing was said."""

    recipe: str | None = None
    config: Path | None = None
    out: Path | None = None
    resume: Path | None = None
    data: str | None = None
    data_root: str | None = None
    model: str | None = None
    image_size: int | None = None
    time_steps: int | None = None
    weight_bits: int | None = None
    membrane_bits: int | None = None
    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    firing_rate: float | None = None
    seed: int | None = None
    dry_run: bool = False
    threads: int | None = None
    tracker: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class FitOptions:
    """What `spikelet fit` is told; None where nothing was said."""

    model: Path
    max_bytes: str | None
    max_sops: float | None
    max_accuracy_drop: float | None
    out: Path | None
    epochs: int
    probes: int
    probe_epochs: int
    validation: float | None
    seed: int
    data_root: str | None
    threads: int | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvertOptions:
    """What `spikelet convert` is told; None where nothing was said."""

    levels: int
    steps: int
    schedule: Literal["barrier", "stream", "started"]
    out: Path | None
    picture: Path | None
    threads: int | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What `spikelet export` is told; None where nothing was said."""

    to: str
    out: Path | None
    name: str
    flash: int | None
    ram: int | None
    dry_run: bool
    input: str | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What `spikelet run` is told; None where nothing was said."""

    top: int | None
    ground: str | None
    axes: Axes | None
    invert: bool
    as_json: bool
    csv: str | None
    threads: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """What `spikelet bench` is told."""

    batch: int
    seconds: float
    seed: int
    threads: int
    tune: Path | None
