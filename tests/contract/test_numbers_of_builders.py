"""Every number of every builder is checked before anything is built, and NumPy's whole numbers are whole numbers."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from spikelet.base.errors import SpikeletError
from spikelet.models import create_model
from spikelet.models.catalogue import MODELS
from spikelet.neurons import LIF, QuantizedMembrane
from spikelet.nn import Average, ChannelMap, Encode, Requantize, Saturate, SumPool2d
from spikelet.quant import ReScaW, Uniform, quantizer_of

NO_NUMBERS: list[Any] = [
    0, -1, 2.5, "32", True, 10**30, math.nan, math.inf, np.float32(3), np.array([1, 2]), torch.tensor([3, 4]), object(),
]  # fmt: skip


def _is_real(value: Any) -> bool:
    """Whether `value` is a finite number above 0, of Python or NumPy."""
    return isinstance(value, int | float | np.floating) and value is not True and 0 < value < math.inf


@pytest.mark.parametrize("name", list(MODELS))
def test_no_builder_takes_what_is_no_number_of_its_options(name: str):
    """An option of a new name fails here until it is checked."""
    for option, parameter in inspect.signature(MODELS[name]).parameters.items():
        for value in [*NO_NUMBERS, (32.5, 32), [], *([] if option in ("pool_size", "pruning", "blocks") else [None])]:
            if option == "pruning" and isinstance(value, list) and not value:
                continue  # no ratio for any layer
            if option in ("widths", "depths", "pruning", "blocks") and isinstance(value, np.ndarray | torch.Tensor):
                continue  # lists of whole numbers
            if option == "time_constants" and isinstance(value, tuple):
                continue  # two numbers of steps
            if option == "partial_ratio" and type(value) is int and value == 0:
                continue  # nothing is left out
            if type(parameter.default) is bool and value is True:
                continue
            if type(parameter.default) is float and _is_real(value):
                continue
            with pytest.raises(ValueError, match=option):
                create_model(name, **{option: value})


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("qsnn_vgg_s", {"widths": (1 << 16, 1 << 16)}),
        ("qsnn_vgg_s_avg", {"widths": (8, 16, 1 << 17)}),
        ("qsnn_vgg_s_max", {"widths": (8, 8, 8, 1 << 18)}),
        ("qsnn_resnet19", {"width": 1 << 16}),
        ("qpsnn_resnet18", {"width": 1 << 15}),
        ("qsnn_vggsnn", {"image_size": 1 << 14}),
        ("qpsnn_vgg16", {"num_classes": 1 << 20, "image_size": 1 << 10}),
        ("qpsnn_vggsnn", {"num_classes": 1 << 20, "image_size": 1 << 20}),
        ("bestformer_4_384", {"width": 1 << 16}),
        ("qsd_transformer_s", {"widths": (1 << 16, 1 << 16, 1 << 16, 1 << 16)}),
        ("spikformer_4_384", {"width": 1 << 16, "heads": 1 << 8}),
    ],
)
def test_a_model_that_no_machine_holds_is_refused_before_it_is_built(name: str, options: dict[str, Any]):
    with pytest.raises(SpikeletError, match=r"the model would have ([\d,]{12,}|inf) parameters.*num_classes=\d+"):
        create_model(name, **options)


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8])
def test_numpy_s_whole_numbers_build_the_same_models(kind: Callable[[int], Any]):
    options = {
        "num_classes": 3,
        "time_steps": 2,
        "weight_bits": 4,
        "membrane_bits": 4,
        "in_channels": 1,
        "image_size": 8,
    }
    torch.manual_seed(0)
    plain = create_model("qsnn_vgg_s", **options, widths=(4, 8), pool_size=2)
    torch.manual_seed(0)
    theirs = create_model(
        "qsnn_vgg_s", **{n: kind(v) for n, v in options.items()}, widths=np.array([4, 8]), pool_size=kind(2)
    )
    assert str(plain) == str(theirs)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), theirs.parameters(), strict=True))
    assert "np." not in str(theirs)


LAYERS: dict[str, Callable[[Any], object]] = {
    "time_steps": LIF,
    "membrane_bits": QuantizedMembrane,
    "weight_bits": quantizer_of,
    r"Uniform\.bits": Uniform,
    r"ReScaW\.bits": ReScaW,
    r"Requantize\.bits": Requantize,
    r"Saturate\.bits": Saturate,
    r"Saturate\.fraction_bits": lambda n: Saturate(8, n),
    r"Average\.fraction_bits": Average,
    r"Encode\.sample_dims": Encode,
    r"SumPool2d\.kernel_size": SumPool2d,
    r"ChannelMap\.stride": lambda n: ChannelMap([0], n),
    "c_in": lambda n: ChannelMap.padded(n, 4),
    "c_out": lambda n: ChannelMap.padded(4, n),
}


@pytest.mark.parametrize("argument", list(LAYERS))
def test_layers_and_quantizers_take_whole_numbers_only(argument: str):
    for value in NO_NUMBERS:
        if argument.endswith("fraction_bits") and value is NO_NUMBERS[0]:
            continue  # 0 is one of theirs
        if argument.endswith("kernel_size") and isinstance(value, int) and value > 1:
            continue
        with pytest.raises(ValueError, match=argument):
            LAYERS[argument](value)
    made = LAYERS[argument](np.int64(2))
    assert "np." not in repr(made)
