"""`spikelet models`: the networks, the recipes, and the packed models that ship with the package."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from spikelet import zoo
from spikelet.cli.printing import console, heading, table
from spikelet.models import create_model
from spikelet.models.catalogue import MODELS
from spikelet.recipes import RECIPES

NOTHING = "-"


def models(pattern: str) -> None:
    """Prints what matches `pattern`, a shell pattern or a part of a name.

    Raises:
        ValueError: nothing does.
    """
    shell = pattern if set(pattern) & set("*?[") else f"*{pattern}*"
    networks, recipes, shipped = (fnmatch.filter(names, shell) for names in (sorted(MODELS), RECIPES, zoo.names()))
    if not (networks or recipes or shipped):
        everything = ", ".join([*sorted(MODELS), *RECIPES, *zoo.names()])
        raise ValueError(f"nothing matches {pattern!r}. There are: {everything}.")
    _print("Networks: spikelet.create_model(NAME, ...)", ("name", "parameters", "what"), map(_network, networks))
    _print(
        "Recipes: spikelet train NAME",
        ("name", "network", "data", "bits W/U", "epochs at T", "what"),
        map(_recipe, recipes),
    )
    _print("Shipped: spikelet run NAME IMAGE", ("name", "bytes", "accuracy, integers", "data"), map(_shipped, shipped))


def _print(title: str, columns: Sequence[str], rows: Iterable[tuple[str, ...]]) -> None:
    found = list(rows)
    if found:
        heading(title)
        made = table(columns, found)
        made.columns[-1].justify = "left"
        console().print(made)


def _network(name: str) -> tuple[str, ...]:
    parameters = sum(p.numel() for p in create_model(name).parameters())
    return name, f"{parameters:,}", _first_line(MODELS[name])


def _recipe(name: str) -> tuple[str, ...]:
    config = RECIPES[name]()
    bits = "/".join(str(config.model_options.get(k, NOTHING)) for k in ("weight_bits", "membrane_bits"))
    phases = " + ".join(f"{p.epochs} at {p.time_steps}" for p in config.phases)
    if config.teacher is not None:
        phases += f", {config.teacher.epochs} of a teacher"
    return name, config.model, config.data, bits, phases, _first_line(RECIPES[name])


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
