"""`spikelet models`: the networks, the recipes, and the packed models that ship with the package."""

from __future__ import annotations

import dataclasses
import fnmatch
import re
from collections.abc import Callable, Sequence
from typing import Any

from spikelet import zoo
from spikelet.base.errors import MissingLibrary, SpikeletError
from spikelet.base.meant import meant
from spikelet.base.table import Row, Table
from spikelet.cli.printing import heading, note, show

NOTHING = "-"
NUMBERS = ("bytes", "parameters")
SHIPPED = ("name", "bytes", "accuracy, integers", "data")
NETWORKS = ("name", "parameters", "what")
TRAININGS = ("name", "network", "data", "bits W/U", "epochs at T", "what")


@dataclasses.dataclass(frozen=True)
class Catalogue:
    """Rows of the networks, the recipes and the shipped models that were found."""

    networks: tuple[Row, ...]
    recipes: tuple[Row, ...]
    shipped: tuple[Row, ...]

    def show(self) -> None:
        """Prints a table of each."""
        _print("Networks: spikelet.create_model(NAME, ...)", NETWORKS, self.networks)
        _print("Recipes: spikelet train NAME", TRAININGS, self.recipes)
        _print("Shipped: spikelet run NAME INPUT", SHIPPED, self.shipped)

    def document(self) -> dict[str, Any]:
        """The same as JSON has it; numbers are numbers."""
        return {
            "networks": [_object(NETWORKS, row) for row in self.networks],
            "recipes": [_object(TRAININGS, row) for row in self.recipes],
            "shipped": [_object(SHIPPED, row) for row in self.shipped],
        }


def models(pattern: str) -> Catalogue:
    """What matches `pattern`, a shell pattern or a part of a name; networks and recipes where PyTorch is.

    Raises:
        SpikeletError: nothing does.
    """
    networks, recipes = _trainable()
    everything = [*networks, *recipes, *zoo.names()]
    shell = pattern if set(pattern) & set("*?[") else f"*{pattern}*"
    found = set(fnmatch.filter(everything, shell))
    if not found:
        raise SpikeletError(
            f"nothing matches {pattern!r}.{meant(pattern, everything)} There are: {', '.join(everything)}."
        )
    return Catalogue(
        tuple(_network(n) for n in networks if n in found),
        tuple(_recipe(n) for n in recipes if n in found),
        tuple(_shipped(n) for n in zoo.names() if n in found),
    )


def _object(columns: Sequence[str], row: Row) -> dict[str, str | int]:
    """A row by its titles, written as JSON's names are: "epochs at T" is epochs_at_t."""
    keys = (re.sub(r"\W+", "_", title).lower() for title in columns)
    return {key: _plain(title, cell) for key, title, cell in zip(keys, columns, row, strict=True)}


def _plain(column: str, cell: str) -> str | int:
    return int(cell.replace(",", "")) if column in NUMBERS and cell != NOTHING else cell


def _trainable() -> tuple[list[str], list[str]]:
    """The names of networks and of recipes; without PyTorch neither, and a line that says so."""
    try:
        from spikelet.models import list_models
        from spikelet.recipes import RECIPES
    except MissingLibrary:
        note("Networks and recipes are listed where PyTorch is: pip install 'spikelet[train]'\n", dim=True)
        return [], []
    return list_models(), list(RECIPES)


def _print(title: str, columns: Row, rows: tuple[Row, ...]) -> None:
    if rows:
        heading(title)
        show(Table(columns, rows, prose=tuple(i for i, title in enumerate(columns) if title not in NUMBERS)))


def _network(name: str) -> Row:
    import torch

    from spikelet.models.catalogue import MODELS, create_model
    from spikelet.models.uninitialised import Uninitialised

    with torch.device("meta"), Uninitialised():  # counted, not made
        parameters = sum(p.numel() for p in create_model(name).parameters())
    return name, f"{parameters:,}", _first_line(MODELS[name])


def _recipe(name: str) -> Row:
    from spikelet.recipes import RECIPES

    make = RECIPES[name]
    config = make()
    bits = "/".join(str(config.model_options.get(k, NOTHING)) for k in ("weight_bits", "membrane_bits"))
    phases = " + ".join(f"{p.epochs} at {p.time_steps}" for p in config.phases)
    if config.teacher is not None:
        phases += f", {config.teacher.epochs} of a teacher"
    if config.unpruned is not None:
        phases += f", {sum(p.epochs for p in config.unpruned.phases)} before pruning"
    return name, config.model, config.data, bits, phases, _first_line(make)


def _shipped(name: str) -> Row:
    card = zoo.card(name)
    size = card_row(card, "packed file").removesuffix(" bytes")
    return name, size, card_row(card, "test accuracy, integer program"), card_row(card, "data")


def card_row(card: str, name: str) -> str:
    """The value in the row `name` of a model card's table, "-" where there is none."""
    found = re.search(rf"^\| *{re.escape(name)} *\| *(.*?) *\|$", card, re.MULTILINE)
    return found[1] if found else NOTHING


def _first_line(function: Callable[..., Any]) -> str:
    return (function.__doc__ or "").partition("\n")[0]
