"""Programs that torch records from a model give its logits bit for bit: torch.export, torch.jit.trace, torch.compile.

A recorded program has no checks of values; eager evaluation has them.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.neurons import LIF
from spikelet.nn import BatchNorm2d, PartialInformation
from spikelet.quant.grid import split_gain
from tests.conversion.networks import NETWORKS, trained
from tests.support.catalogue import DISTINCT, QUANTIZERS, model_input, small_model

DEPRECATED = "ignore:`torch.jit:DeprecationWarning"  # torch's word to whoever traces
SHAPES = "ignore::torch.jit.TracerWarning"  # shapes and constants are recorded as they are
# torch.export takes some milliseconds an operation: those with the fewest of each family, the others with -m slow
SOON = ("qsnn_vgg_s", "qsnn_vgg_s_max", "qpsnn_vggsnn", "bestformer_2_128", "spikingformer_4_384")
exported_models = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in SOON else pytest.mark.slow) for name in DISTINCT]
)
every_model = pytest.mark.parametrize("name", DISTINCT)
compiled_models = pytest.mark.parametrize("name", ["qsnn_vgg_s", pytest.param("qpsnn_vggsnn", marks=pytest.mark.slow)])


def awake(name: str) -> tuple[nn.Module, Tensor]:
    """A small model of two steps whose norms have seen a batch, so that its neurons fire; and two samples."""
    torch.manual_seed(1)
    model, x = small_model(name, time_steps=2), model_input(name, 4)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            norm.momentum = 1.0
    with torch.no_grad():
        model.train()(x)
    return model.eval(), x[:2]


def assert_same(program: Callable[[Tensor], Tensor], model: nn.Module, x: Tensor) -> None:
    with torch.no_grad():
        answer = model(x)
        assert answer.unique().numel() > 1, "a model that says the same of everything shows nothing"
        assert torch.equal(program(x), answer)


@exported_models
def test_an_exported_program_is_its_model_bit_for_bit(name: str):
    model, x = awake(name)
    assert_same(torch.export.export(model, (x,)).module(), model, x)


def test_an_exported_program_is_saved_and_takes_batches_of_any_size(tmp_path: Path):
    model, x = awake("qsnn_vgg_s")
    batch = torch.export.Dim("batch", min=1, max=64)
    torch.export.save(torch.export.export(model, (x,), dynamic_shapes=({0: batch},)), tmp_path / "model.pt2")
    assert_same(torch.export.load(tmp_path / "model.pt2").module(), model, model_input("qsnn_vgg_s", 5))


@every_model
@pytest.mark.filterwarnings(DEPRECATED, SHAPES)
def test_a_traced_program_is_its_model_bit_for_bit_and_needs_no_python(name: str):
    model, x = awake(name)
    program = torch.jit.trace(model, (x,), check_trace=False)
    file = io.BytesIO()
    torch.jit.save(program, file)
    file.seek(0)
    with torch.jit.optimized_execution(False):
        assert_same(torch.jit.load(file), model, x)


@pytest.mark.parametrize(
    "network", [pytest.param(name, marks=() if name == "cnn" else pytest.mark.slow) for name in NETWORKS]
)
@pytest.mark.parametrize("schedule", ["barrier", "stream"])
@pytest.mark.filterwarnings(DEPRECATED, SHAPES)
def test_programs_of_conversion_s_twins_are_them_bit_for_bit(network: str, schedule: str):
    net, x = trained(NETWORKS[network])
    twin = spikelet.convert(net, x, time_steps=4, schedule=schedule, mean=0.5, std=0.25)  # type: ignore[arg-type]
    assert_same(torch.export.export(twin, (x[:2],)).module(), twin, x[:2])
    assert_same(torch.jit.trace(twin, (x[:2],), check_trace=False), twin, x[:2])  # type: ignore[arg-type]


@compiled_models
@pytest.mark.filterwarnings("ignore")  # Dynamo and Inductor warn of their own code
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU")
def test_a_compiled_model_evaluates_bit_for_bit(name: str):
    model, x = awake(name)
    torch.compiler.reset()
    assert_same(torch.compile(model, fullgraph=True), model, x)


class Weights(nn.Module):
    """The weights that a quantizer makes."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3, 3, 3))
        self.quantizer = QUANTIZERS[name].for_layer(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.quantizer(self.weight) * x


@pytest.mark.parametrize("name", [name for name in QUANTIZERS if not name.endswith(("-3", "-5", "-6", "-7"))])
@pytest.mark.filterwarnings(DEPRECATED, SHAPES)
def test_programs_hold_every_quantizer(name: str):
    torch.manual_seed(0)
    layer, x = Weights(name).eval(), torch.ones(1)
    assert_same(torch.export.export(layer, (x,)).module(), layer, x)
    torch.jit.save(torch.jit.trace(layer, (x,), check_trace=False), file := io.BytesIO())
    file.seek(0)
    assert_same(torch.jit.load(file), layer, x)


# --- what programs lack -----------------------------------------------------------------------------


def test_eager_evaluation_still_looks_at_values():
    norm = BatchNorm2d(2).eval()
    x = torch.zeros(1, 1, 2, 3, 3)
    torch.export.export(norm, (x,))
    norm.weight.data[1] = float("nan")
    with pytest.raises(ValueError, match="gain must be finite"):
        norm(x)
    norm.weight.data[1] = 1.0
    norm.bias.data[0] = float("inf")
    with pytest.raises(ValueError, match="the offset beta - gain"):
        norm(x)


def test_another_ratio_of_partial_information_does_not_stop_an_export():
    part = PartialInformation(0.25).eval()
    part.trained_at.fill_(0.5)
    q = torch.ones(1, 1, 1, 2, 4)
    torch.export.export(part, (q, q, q))
    with pytest.warns(spikelet.base.errors.PartialWarning):
        part(q, q, q)


@pytest.mark.filterwarnings(DEPRECATED, SHAPES)
def test_tracing_a_module_that_trains_says_that_its_gradients_are_lost():
    x = torch.randn(2, 3, 4)
    with pytest.warns(UserWarning, match=r"torch\.jit\.trace records no surrogate gradients.*model\.eval\(\)"):
        torch.jit.trace(LIF(2).train(), (x,), check_trace=False)


def frexp_gain(gain: Tensor) -> tuple[Tensor, Tensor]:
    """m and e by torch.frexp, which says the exponent exactly."""
    mantissa, exponent = torch.frexp(gain)
    m = torch.floor(mantissa * 2**15 + 0.5)
    top = m.abs() == 2**15
    m, e = torch.where(top, m / 2, m), 15 - exponent - top.int()
    return m.long(), torch.where(m == 0, 0, e).long()


def test_gains_beside_every_power_of_two_are_split_exactly():
    powers = torch.tensor([2.0**e for e in range(-1074, 1024)], dtype=torch.float64)
    beside = [torch.nextafter(powers, end * powers) for end in (torch.tensor(0.0), torch.tensor(4.0))]
    ties = [powers * (1 + sign * 2.0**-e) for sign in (-1, 1) for e in (15, 16, 17)]
    gains = torch.cat([powers, *beside, *ties])
    gains = torch.cat([gains, -gains, torch.randn(1000, dtype=torch.float64).exp()])
    for made, exact in zip(split_gain(gains), frexp_gain(gains), strict=True):
        assert torch.equal(made, exact)
