"""The public surface: it grows on purpose only."""

from __future__ import annotations

import inspect

import pytest

import spikelet

NAMES = [
    "LIF",
    "Budget",
    "IntGraph",
    "LIFParams",
    "LoweringError",
    "Program",
    "Reference",
    "compress",
    "create_model",
    "fit",
    "from_snntorch",
    "from_spikingjelly",
    "list_models",
    "load",
    "lower",
    "profile",
]


def test_the_public_names_are_these() -> None:
    assert spikelet.__all__ == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_there_and_has_a_docstring(name: str) -> None:
    assert inspect.getdoc(getattr(spikelet, name))


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_says_itself_where_it_comes_from(name: str) -> None:
    value = getattr(spikelet, name)
    assert value.__module__.startswith("spikelet.")
    assert value.__name__ == name


def test_the_version_is_that_of_the_package() -> None:
    assert spikelet.__version__.count(".") == 2
