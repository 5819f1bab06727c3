"""Thresholds of quantized activations beside a search by brute force."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from spikelet.base.errors import SpikeletError
from spikelet.conversion import LeastError, Percentile
from spikelet.conversion.ordinary.histogram import Histogram
from spikelet.conversion.ordinary.thresholds import quantized
from spikelet.neurons import QCFS

ACTIVATIONS = [F.relu, F.gelu, F.silu]


def values() -> torch.Tensor:
    return 3 * torch.randn(20_000, generator=torch.Generator().manual_seed(0))


def histogram_of(z: torch.Tensor) -> Histogram:
    histogram = Histogram("z")
    histogram.add(z)
    return histogram


@pytest.mark.parametrize("f", ACTIVATIONS)
@pytest.mark.parametrize("percent", [10, 50.0, 99.9, 100])
def test_a_percentile_is_that_of_the_values_above_0(f, percent: float):
    z = values()
    y = f(z)
    expected = torch.quantile(y[y > 0].double(), percent / 100)
    found = Percentile(percent).threshold(histogram_of(z), f, 16)
    assert found == pytest.approx(float(expected), rel=0.01)


@pytest.mark.parametrize("f", ACTIVATIONS)
@pytest.mark.parametrize("levels", [1, 4, 16])
def test_the_least_error_is_that_of_the_published_activation(f, levels: int):
    z = values()

    def error(theta: float) -> float:
        made = QCFS(levels, theta).train()(z).detach()
        return float((made.double() - f(z).double()).square().mean())

    found = LeastError().threshold(histogram_of(z), f, levels)
    searched = min(error(float(f(z).max()) * k / 100) for k in range(1, 101))
    assert error(found) == pytest.approx(searched, rel=0.02)
    assert error(found) < error(Percentile(100).threshold(histogram_of(z), f, levels))


def test_the_formula_is_that_of_the_layer():
    z = torch.linspace(-1, 3, 1001)
    assert torch.equal(quantized(z, 1.5, 8), QCFS(8, 1.5).train()(z).detach())


@pytest.mark.parametrize("method", [Percentile(), LeastError()])
def test_a_silent_layer_gets_some_threshold(method):
    assert method.threshold(histogram_of(-values().abs() - 1), F.relu, 16) == 1.0


@pytest.mark.parametrize("method", [Percentile(100), LeastError()])
@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_thresholds_keep_within_the_bounds_of_the_layer(method, size: float):
    QCFS(16, method.threshold(histogram_of(values() * size), F.relu, 16))


@pytest.mark.parametrize("percent", [0, -1, 100.5, float("nan"), True, "99"])
def test_a_percentile_out_of_range_is_one_sentence(percent):
    with pytest.raises(SpikeletError, match=r"Percentile.percent must lie in \(0, 100\]"):
        Percentile(percent)
