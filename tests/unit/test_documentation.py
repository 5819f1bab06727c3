"""The API pages show what is so: every public name has an example in its docstring, and it does what it shows."""

from __future__ import annotations

import doctest
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import spikelet

NEEDS = {
    "fit": ("optuna", "accelerate"),
    "from_snntorch": ("snntorch",),
    "from_spikingjelly": ("spikingjelly",),
}
HOW = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples(name: str) -> doctest.DocTest:
    """The examples of a public name, which see what the page says that they see."""
    names = {"spikelet": spikelet, "torch": torch, "np": np}
    value = getattr(spikelet, name)
    module = sys.modules[value.__module__]
    (found,) = doctest.DocTestFinder(recurse=False).find(value, name, module, globs=names)
    return found


def test_a_page_shows_every_public_name_and_another_every_tutorial() -> None:
    docs = Path(__file__).resolve().parents[2] / "docs"
    assert ".. automodule:: spikelet\n" in (docs / "api.md").read_text()  # which shows spikelet.__all__
    index = (docs / "index.md").read_text().split()
    assert {f"tutorials/{page.stem}" for page in docs.glob("tutorials/*.md")} <= set(index)
    assert {f"spec/{page.stem}" for page in docs.glob("spec/*.md")} <= set(index)


@pytest.mark.parametrize("name", spikelet.__all__)
def test_an_example_of_every_public_name_does_what_it_shows(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in NEEDS.get(name, ()):
        pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(spikelet.models.catalogue, "MODELS", dict(spikelet.models.catalogue.MODELS))
    torch.manual_seed(0)
    found, said = examples(name), []
    assert found.examples, f"spikelet.{name} has no example in its docstring"
    assert any(f"spikelet.{name}" in example.source for example in found.examples)
    result = doctest.DocTestRunner(optionflags=HOW).run(found, out=said.append)
    assert result.failed == 0, "".join(said)
