"""`spikelet models`: the networks, the recipes, and the packed models that ship with the package."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from typing import Any

from spikelet import zoo
from spikelet.base.errors import MissingLibrary
from spikelet.base.table import Table
from spikelet.cli.printing import heading, say, show

NOTHING = "-"
NUMBERS = ("bytes", "parameters")
SHIPPED = ("name", "bytes", "accuracy, integers", "data")
NETWORKS = ("name", "parameters", "what")
TRAININGS = ("name", "network", "data", "bits W/U", "epochs at T", "what")


def models(pattern: str) -> None:
    """Prints what matches `pattern`, a shell pattern or a part of a name; networks and recipes where PyTorch is.

    Raises:
        ValueError: nothing does.
    """
    networks, recipes = _trainable()
    everything = [*networks, *recipes, *zoo.names()]
    shell = pattern if set(pattern) & set("*?[") else f"*{pattern}*"
    found = set(fnmatch.filter(everything, shell))
    if not found:
        raise ValueError(f"nothing matches {pattern!r}. There are: {', '.join(everything)}.")
    built, made = (_network(n) for n in networks if n in found), (_recipe(n) for n in recipes if n in found)
    _print("Networks: spikelet.create_model(NAME, ...)", NETWORKS, built)
    _print("Recipes: spikelet train NAME", TRAININGS, made)
    _print("Shipped: spikelet run NAME IMAGE", SHIPPED, (_shipped(n) for n in zoo.names() if n in found))


def _trainable() -> tuple[list[str], list[str]]:
    """The names of networks and of recipes; without PyTorch neither, and a line that says so."""
    try:
        from spikelet.models import list_models
        from spikelet.recipes import RECIPES
    except MissingLibrary:
        say("Networks and recipes are listed where PyTorch is: pip install 'spikelet[train]'\n", dim=True)
        return [], []
    return list_models(), list(RECIPES)


def _print(title: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    found = tuple(rows)
    if found:
        heading(title)
        show(Table(columns, found, prose=tuple(i for i, title in enumerate(columns) if title not in NUMBERS)))


def _network(name: str) -> tuple[str, ...]:
    from spikelet.models.catalogue import MODELS, create_model

    parameters = sum(p.numel() for p in create_model(name).parameters())
    return name, f"{parameters:,}", _first_line(MODELS[name])


def _recipe(name: str) -> tuple[str, ...]:
    from spikelet.recipes import RECIPES

    make = RECIPES[name]
    config = make()
    bits = "/".join(str(config.model_options.get(k, NOTHING)) for k in ("weight_bits", "membrane_bits"))
    phases = " + ".join(f"{p.epochs} at {p.time_steps}" for p in config.phases)
    if config.teacher is not None:
        phases += f", {config.teacher.epochs} of a teacher"
    return name, config.model, config.data, bits, phases, _first_line(make)


def _shipped(name: str) -> tuple[str, ...]:
    card = zoo.card(name)
    size = card_row(card, "packed file").removesuffix(" bytes")
    return name, size, card_row(card, "test accuracy, integer program"), card_row(card, "data")


def card_row(card: str, name: str) -> str:
    """The value in the row `name` of a model card's table, "-" where there is none."""
    found = re.search(rf"^\| *{re.escape(name)} *\| *(.*?) *\|$", card, re.MULTILINE)
    return found[1] if found else NOTHING


def _first_line(function: Callable[..., Any]) -> str:
    return (function.__doc__ or "").partition("\n")[0]
