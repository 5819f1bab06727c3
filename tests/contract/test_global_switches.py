"""No switch of torch, NumPy or the processor changes a bit of what evaluation computes, or of what is made from it."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spikelet.graph.file.artifact import dumps
from spikelet.lowering import lower, verify
from spikelet.nn import Linear, evaluation_mode
from spikelet.profiling import profile
from spikelet.quant import Uniform
from spikelet.runtime import Program
from spikelet.train.evaluate import evaluate
from tests.support.exact_network import network, traced

Switch = Callable[[], contextlib.AbstractContextManager[Any]]
Change = Callable[[Any], object]


@contextlib.contextmanager
def changed(change: Change, value: Any, before: Any) -> Iterator[None]:
    """`change(value)` inside, `change(before)` after."""
    change(value)
    try:
        yield
    finally:
        change(before)


def switch(change: Change, value: Any, before: Any) -> Switch:
    return lambda: changed(change, value, before)


def precision(part: Any, value: str) -> Switch:
    """One of torch's newer switches, which wins over the older ones."""
    return lambda: changed(lambda v: setattr(part, "fp32_precision", v), value, "none")


BACKENDS = torch.backends
SWITCHES: dict[str, Switch] = {
    "autocast to bfloat16": lambda: torch.autocast("cpu", torch.bfloat16),
    "autocast to float16": lambda: torch.autocast("cpu", torch.float16),
    "float64 by default": switch(torch.set_default_dtype, torch.float64, torch.float32),
    "bfloat16 by default": switch(torch.set_default_dtype, torch.bfloat16, torch.float32),
    "float16 by default": switch(torch.set_default_dtype, torch.float16, torch.float32),
    "matmul high": switch(torch.set_float32_matmul_precision, "high", "highest"),
    "matmul medium": switch(torch.set_float32_matmul_precision, "medium", "highest"),
    "oneDNN matmul in bfloat16": precision(BACKENDS.mkldnn.matmul, "bf16"),
    "oneDNN convolutions in bfloat16": precision(BACKENDS.mkldnn.conv, "bf16"),
    "oneDNN in TensorFloat-32": precision(BACKENDS.mkldnn, "tf32"),
    "everything in bfloat16": precision(BACKENDS, "bf16"),
    "everything in TensorFloat-32": precision(BACKENDS, "tf32"),
    "without oneDNN": lambda: BACKENDS.mkldnn.flags(enabled=False),
    "oneDNN deterministic": lambda: BACKENDS.mkldnn.flags(enabled=True, deterministic=True),
    "cuDNN benchmark": lambda: BACKENDS.cudnn.flags(enabled=True, benchmark=True, allow_tf32=True),
    "any algorithm": switch(torch.use_deterministic_algorithms, False, True),
    "subnormal numbers flushed": switch(torch.set_flush_denormal, True, False),
    "inference mode": torch.inference_mode,
    "gradients": torch.enable_grad,
    "no gradients": torch.no_grad,
    "anomaly detection": lambda: torch.autograd.set_detect_anomaly(True),
    "another default device": lambda: torch.device("meta"),
    "three threads": switch(torch.set_num_threads, 3, torch.get_num_threads()),
    "NumPy raises": lambda: np.errstate(all="raise"),
    "NumPy prints little": lambda: np.printoptions(precision=1, threshold=2, suppress=True),
}
pytestmark = pytest.mark.filterwarnings(
    "ignore:Anomaly Detection has been enabled", "ignore:TF32 acceleration on top of oneDNN:UserWarning"
)
every_switch = pytest.mark.parametrize("entered", SWITCHES.values(), ids=[name.replace(" ", "-") for name in SWITCHES])


@every_switch
def test_no_switch_changes_a_spike_or_a_logit(entered: Switch):
    model, x = network()
    expected = traced(model, x)
    assert all(0.02 < spikes.mean() < 0.8 for spikes in expected[:2])
    with entered():
        made = traced(model, x)
        double = traced(copy.deepcopy(model).double(), x)
    assert all(torch.equal(a, b) and a.dtype == b.dtype for a, b in zip(made, expected, strict=True))
    assert all(torch.equal(a, b.double()) for a, b in zip(double, expected, strict=True))


def jobs(model: nn.Module, x: Tensor) -> dict[str, object]:
    """What each entry makes of the model, in words that compare."""
    batches = [(x, torch.arange(len(x), device="cpu"))]
    graph = lower(model, x)
    return {
        "lower": dumps(graph),
        "program": Program(graph)(x.numpy()).tolist(),
        "verify": str(verify(graph, model, batches)),
        "evaluate": evaluate(model, batches),
        "profile": profile(model, x).to_json(),
    }


@every_switch
def test_no_switch_changes_what_is_made_of_a_model(entered: Switch):
    model, x = network()
    expected = jobs(model, x)
    with entered():
        assert jobs(model, x) == expected


@every_switch
def test_no_switch_changes_weights_near_the_smallest_numbers(entered: Switch):
    """Codes of subnormal weights would be 0 where those are flushed."""
    torch.manual_seed(0)
    layer, x = Linear(6, 3, Uniform(4)), torch.randint(0, 256, (1, 5, 6)) / 256
    layer.weight.data.uniform_(-1, 1).mul_(torch.finfo(torch.float32).tiny)
    with torch.no_grad(), evaluation_mode(layer):
        expected = layer(x)
        codes = layer.quantizer.encode(layer.weight).codes
    assert (codes != 0).any()
    with entered(), torch.no_grad(), evaluation_mode(layer):
        assert torch.equal(layer(x), expected)
        assert torch.equal(layer.quantizer.encode(layer.weight).codes, codes)


def test_autocast_would_change_the_same_network_outside():
    """Else the tests above prove nothing."""
    model, x = network()
    s = traced(model, x)[0].flatten(3)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = s @ (s.transpose(2, 3) @ s)
    assert not torch.equal(rounded.float(), s @ (s.transpose(2, 3) @ s))


@pytest.mark.filterwarnings("ignore:.*Function.*should not be instantiated:DeprecationWarning")
def test_a_compiled_model_gives_the_same_under_autocast():
    model, x = network()
    expected = traced(model, x)[-1]
    compiled = torch.compile(model, backend="eager")
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad(), evaluation_mode(model):
        assert torch.equal(compiled(x), expected)


@every_switch
def test_switches_are_as_before_after_evaluation(entered: Switch):
    general = [BACKENDS, BACKENDS.cudnn]
    special = [getattr(b, part) for b in (BACKENDS.mkldnn, BACKENDS.cudnn) for part in ("conv", "rnn")]
    special += [BACKENDS.mkldnn.matmul, BACKENDS.cuda.matmul]

    def state() -> list[object]:
        tiny = torch.full((), torch.finfo(torch.float32).tiny, dtype=torch.float32, device="cpu")
        return [*(part.fp32_precision for part in (*special, *general)), BACKENDS.cudnn.enabled, bool(tiny / 2 == 0)]

    model, _ = network()
    with entered():
        before = state()
        with evaluation_mode(model):
            assert state() == ["ieee"] * len(special) + ["none"] * len(general) + [False, False]
        assert state() == before
