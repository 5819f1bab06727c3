"""Every model of the catalogue, made small, and every shipped model become C that computes the same integers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import torch

import spikelet
from spikelet import Reference
from spikelet.export import to_c
from spikelet.graph.ir import IntGraph
from tests.export.compiled import SANITIZE, Batch, needs_compiler
from tests.support.catalogue import MODELS, model_input, small_model

pytestmark = needs_compiler


def lowered(name: str) -> IntGraph:
    """A small model of the catalogue in integers: random weights of 1, 2, 4 or 8 bits, norms that saw some noise."""
    number = list(MODELS).index(name)
    torch.manual_seed(number)
    model = small_model(name, weight_bits=(1, 4, 2, 8)[number % 4], membrane_bits=(2, 32, 4)[number % 3])
    with torch.no_grad():
        model.train()(model_input(name, 4))
    return spikelet.lower(model.eval(), model_input(name, 1))


def test_every_catalogue_model_is_the_same_in_c(tmp_path: Path) -> None:
    batch = Batch([lowered(name) for name in MODELS])
    assert {list(MODELS)[i]: what for i, what in batch.wrong(tmp_path, "-O1").items()} == {}
    fires = {spikes.any() for case in batch.cases for spikes in Reference(case.model.graph).spikes(case.still).values()}
    assert fires == {True, False}, "some neurons fire, and not all"


@pytest.mark.slow
def test_every_catalogue_model_is_clean_under_the_sanitizers(tmp_path: Path) -> None:
    assert Batch([lowered(name) for name in MODELS]).wrong(tmp_path, *SANITIZE) == {}


@pytest.mark.parametrize(
    "name",
    [name if "nmnist" in name else pytest.param(name, marks=pytest.mark.slow) for name in spikelet.zoo.names()],
)
def test_a_shipped_model_passes_the_self_test_of_its_project(name: str, tmp_path: Path) -> None:
    to_c(spikelet.load(name), tmp_path / "project", name="net")
    done = subprocess.run(["make", "-s", "check"], cwd=tmp_path / "project", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(" 0 wrong values\n")
