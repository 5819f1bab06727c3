"""Every number of every configuration is plain, in range, and refused by its name as it is given, not minutes later."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from spikelet.base.errors import SpikeletError
from spikelet.data import Epoch, Share, load
from spikelet.fitting import Budget, Choices, Settings
from spikelet.recipes import RECIPES
from spikelet.train import (
    Distillation,
    DualRegulation,
    Optimizer,
    Phase,
    SoftLogits,
    Teacher,
    TrainConfig,
    Training,
    Unpruned,
)

LARGEST_SEED = 2**32 - 1
MAKERS: dict[type, Callable[..., Any]] = {
    Phase: lambda **changes: Phase(**{"epochs": 2, "time_steps": 3, **changes}),
    Optimizer: Optimizer,
    DualRegulation: DualRegulation,
    Teacher: lambda **changes: Teacher(**{"epochs": 2, **changes}),
    Unpruned: lambda **changes: Unpruned(**{"phases": (Phase(2, 3),), "model_options": {"pruning": None}, **changes}),
    Training: Training,
    TrainConfig: lambda **changes: TrainConfig(**{"model": "m", "model_options": {}, "data": "d", **changes}),
    Budget: lambda **changes: Budget(**{"max_bytes": 10, "max_sops": 10.0, "max_accuracy_drop": 1.0, **changes}),
    Settings: Settings,
    Epoch: lambda **changes: Epoch(**{"seed": 1, "number": 1, **changes}),
    Share: lambda **changes: Share(**{"rank": 0, "world_size": 2, **changes}),
}
VALUES = {kind: {f.name: getattr(make(), f.name) for f in dataclasses.fields(kind)} for kind, make in MAKERS.items()}
OPTIONAL = {"teacher", *VALUES[Budget]}  # these may be None


def fields_of(*types: type) -> list[Any]:
    return [
        pytest.param(kind, name, id=f"{kind.__name__}.{name}")
        for kind, values in VALUES.items()
        for name, value in values.items()
        if type(value) in types
    ]


@pytest.mark.parametrize(("kind", "name"), fields_of(int, float, bool))
def test_numpy_scalars_and_tensors_without_axes_become_plain_numbers(kind: type, name: str):
    value = VALUES[kind][name]
    types = {int: (np.int64, np.int32, np.uint16), float: (np.float64, np.float32), bool: (np.bool_,)}[type(value)]
    forms = [made(value) for made in types] + [np.asarray(value), torch.tensor(value)]
    for form in forms:
        found = getattr(MAKERS[kind](**{name: form}), name)
        assert type(found) is type(value)
        assert found == pytest.approx(value, rel=1e-6)
    json.dumps(dataclasses.asdict(MAKERS[kind](**{name: forms[0]})), default=repr)


BAD: dict[type, tuple[Any, ...]] = {
    int: (math.nan, math.inf, -1, 2**40, True, "3", None, [3], 1.5, np.float32(1.5), np.array([1, 2]), 3 + 0j),
    float: (
        math.nan,
        math.inf,
        -math.inf,
        -1.0,
        True,
        "3",
        None,
        [3.0],
        np.float32(math.nan),
        np.array([1.0, 2.0]),
        3j,
    ),
    bool: (1, 0, "no", None, math.nan, [True], np.array([True, False])),
    str: (3, None, b"adamw", ["adamw"], math.nan, np.array(["adamw"])),
    tuple: (3, None, "ab", (3,), {}),
    dict: (3, None, "ab", [1], {1: 2}, {"x": math.nan}, {"x": object()}),
}


@pytest.mark.parametrize(("kind", "name"), fields_of(*BAD))
def test_a_value_of_another_kind_is_refused_by_its_name(kind: type, name: str):
    large = VALUES[Budget] if kind is Budget else {}  # a limit may be any number above 0
    for bad in BAD[float if name in large else type(VALUES[kind][name])]:
        if bad is None and name in OPTIONAL:
            continue
        with pytest.raises(SpikeletError, match=rf"{kind.__name__}\.{name} ") as caught:
            MAKERS[kind](**{name: bad})
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("kind", "name"),
    [(Training, "optimizer"), (Training, "regulation"), (TrainConfig, "teacher"), (TrainConfig, "unpruned"),
     (Unpruned, "optimizer"), (Settings, "choices"), (Settings, "criterion")],
)  # fmt: skip
def test_a_part_of_another_kind_is_refused_by_its_name(kind: type, name: str):
    with pytest.raises(SpikeletError, match=rf"{kind.__name__}\.{name} must be "):
        MAKERS[kind](**{name: {"lr": 1}})


@pytest.mark.parametrize(
    ("name", "bad"),
    [(name, bad) for name in ("bits", "first_last_bits") for bad in ((), (9,), (1.0,), (True,), ("4",), 4, None)]
    + [("ratios", bad) for bad in ((), (0.5,), (0.0, 1.0), (0.0, math.nan), (0.0, "x"), 0.0, (False, 0.5))],
)
def test_choices_of_another_kind_are_refused_by_their_name(name: str, bad: Any):
    with pytest.raises(SpikeletError, match=rf"Choices\.{name} must "):
        Choices(**{name: bad})


def test_choices_may_be_arrays():
    made = Choices(bits=np.array([1, 2]), first_last_bits=[4], ratios=np.array([0.0, 0.5]))  # type: ignore[arg-type]
    assert made == Choices(bits=(1, 2), first_last_bits=(4,), ratios=(0.0, 0.5))


# --- seeds ------------------------------------------------------------------------------------------

SEEDED: dict[str, Callable[[Any], Any]] = {
    "Training": lambda seed: Training(seed=seed),
    "Settings": lambda seed: Settings(seed=seed),
    "Epoch": lambda seed: Epoch(seed, 0),
    **{name: (lambda seed, make=make: make(seed=seed)) for name, make in RECIPES.items()},
}


@pytest.mark.parametrize("make", SEEDED.values(), ids=list(SEEDED))
def test_there_is_one_range_of_seeds(make: Callable[[Any], Any]):
    for good in (0, LARGEST_SEED, np.uint32(LARGEST_SEED), np.int64(7)):
        assert make(good).seed == int(good)
    for bad in (-1, LARGEST_SEED + 1, 1.0, "0", None, True):
        with pytest.raises(SpikeletError, match=r"\.seed must be (a whole number from 0 on|at most 4294967295), got"):
            make(bad)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, r"load\.seed must be a whole number from 0 on, got -1"),
        ({"seed": LARGEST_SEED + 1}, r"load\.seed must be at most 4294967295"),
        ({"validation": 1.0}, r"validation must lie in \[0, 1\), got 1\.0"),
        ({"validation": "0.1"}, r"validation must lie in \[0, 1\), got '0\.1'"),
        ({"slicing": ["count"]}, r"slicing must be one of"),
    ],
)
def test_data_sets_are_not_read_before_their_arguments_are_looked_at(
    options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys.modules["spikelet.data.load"], "_read", lambda request: pytest.fail("it was read"))
    with pytest.raises(SpikeletError, match=message):
        load("digits", **options)


# --- others -----------------------------------------------------------------------------------------


def test_options_of_a_model_may_be_numpy_and_become_plain():
    options = {"widths": np.array([4, 8]), "time_steps": np.int64(2), "nested": ({"a": np.float32(0.5)},)}
    config = MAKERS[TrainConfig](model_options=options)
    assert config.model_options == {"widths": [4, 8], "time_steps": 2, "nested": ({"a": 0.5},)}
    assert TrainConfig.from_dict(json.loads(config.to_json())).to_json() == config.to_json()
    options["time_steps"] = 9
    assert config.model_options["time_steps"] == 2, "a configuration keeps what it was given"


def test_options_nested_without_end_are_refused():
    deep: dict[str, Any] = {}
    deep["again"] = deep
    with pytest.raises(SpikeletError, match=r"TrainConfig\.model_options must not nest lists and dicts deeper than 16"):
        MAKERS[TrainConfig](model_options=deep)


def test_phases_may_be_a_list():
    assert Training(phases=[Phase(1, 2)]) == Training(phases=(Phase(1, 2),))  # type: ignore[arg-type]


def test_a_distillation_takes_plain_numbers_and_a_network():
    assert SoftLogits(np.float64(0.5), temperature=np.float32(2)) == SoftLogits(0.5, temperature=2.0)  # type: ignore[arg-type]
    with pytest.raises(SpikeletError, match=r"Distillation\.teacher must be a Module, got 'a'"):
        Distillation("a", SoftLogits())  # type: ignore[arg-type]
