"""The catalogue of the tests holds every variant that the package offers."""

from __future__ import annotations

import inspect
import typing
from types import ModuleType

import safetensors.torch
import torch

import spikelet.neurons.membrane
import spikelet.quant.binary
import spikelet.quant.rescaled
from spikelet.graph.file.artifact import dumps
from spikelet.interop.surrogates import Borrowed
from spikelet.lowering import lower
from spikelet.models import list_models
from spikelet.neurons import Surrogate
from spikelet.neurons.reset import Reset
from spikelet.quant import Binary, Gamma, LayerQuantizer, Quantizer, ReScaW
from tests.support import catalogue
from tests.support.catalogue import TWINS, model_input, small_model


def concrete(base: type) -> set[type]:
    """The package's own subclasses of `base`, at any depth, that can be made."""
    found = {cls for child in base.__subclasses__() for cls in {child, *concrete(child)}}
    return {c for c in found if not inspect.isabstract(c) and c.__module__.startswith("spikelet.")}


def classes_of(module: ModuleType) -> set[type]:
    """The public classes that `module` itself defines."""
    return {
        c
        for name, c in vars(module).items()
        if inspect.isclass(c) and c.__module__ == module.__name__ and not name.startswith("_")
    }


def test_every_surrogate_is_in_the_catalogue():
    ours = concrete(Surrogate) - {Borrowed}  # that one is what another library's function pretends
    assert {type(s) for s in catalogue.SURROGATES.values()} == ours


def test_every_quantizer_is_in_the_catalogue():
    listed = {**catalogue.QUANTIZERS, **catalogue.FLOAT_QUANTIZERS}
    of_layers = concrete(LayerQuantizer)  # a QuantizerSpec makes them
    assert {type(q) for q in listed.values()} == concrete(Quantizer) - of_layers


def test_every_estimator_of_the_sign_is_in_the_catalogue():
    listed = {type(q.estimator) for q in catalogue.QUANTIZERS.values() if isinstance(q, Binary)}
    assert listed == classes_of(spikelet.quant.binary) - {Binary}


def test_every_gamma_and_gradient_of_rescaw_is_in_the_catalogue():
    listed = [q for q in catalogue.QUANTIZERS.values() if isinstance(q, ReScaW)]
    gammas = {type(q.gamma) for q in listed}
    assert gammas == concrete(Gamma)
    gradients = {type(q.gradient) for q in listed}
    assert gammas | gradients == classes_of(spikelet.quant.rescaled) - {ReScaW, Gamma}


def test_every_membrane_is_in_the_catalogue():
    listed = {**catalogue.MEMBRANES, **catalogue.BATCH_MEMBRANES}
    assert {type(make()) for make in listed.values()} == classes_of(spikelet.neurons.membrane)


def test_every_reset_is_in_the_catalogue():
    assert {type(r) for r in catalogue.RESETS.values()} == set(typing.get_args(Reset))


def test_every_model_is_in_the_catalogue():
    assert sorted(catalogue.MODELS) == list_models()


def made(name: str) -> tuple[str, bytes, bytes]:
    """A model at the size of a test: what it says of itself, its weights, and its packed file."""
    torch.manual_seed(0)
    model = small_model(name, weight_bits=1, time_steps=2).eval()
    return repr(model), safetensors.torch.save(model.state_dict()), dumps(lower(model, model_input(name, 2)))


def test_twins_are_one_network_at_the_size_of_a_test():
    others = {other: made(other) for other in set(TWINS.values())}
    assert {name for name, other in TWINS.items() if made(name) != others[other]} == set()
