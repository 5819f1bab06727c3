"""EST's twins: the barrier is the network bit for bit, the stream runs as it evaluates after every step."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import spikelet
from spikelet.lowering import LoweringError, lower, verify
from spikelet.neurons import Levels
from spikelet.runtime import Program
from tests.contract.test_est import images, settled

EVERY = {"whole": {}, **{kind: {"partial": kind, "partial_ratio": 0.5} for kind in ("tokens", "heads", "channels")}}
every_part = pytest.mark.parametrize("options", EVERY.values(), ids=list(EVERY))


def differences(twin: nn.Module, batch: int = 3) -> int:
    """Spikes and logits of the native program that are not the twin's."""
    x = images(batch)
    result = verify(lower(twin, x[:1]), twin, [(x, torch.zeros(batch, dtype=torch.long))], Program)
    assert not result.not_compared
    assert result.spikes > 0
    return result.mismatches


@every_part
def test_the_barrier_is_the_network_in_integers(options: dict[str, object]):
    model, x = settled(**options), images(3)
    twin = spikelet.convert(model, x, time_steps=16, schedule="barrier").eval()
    with torch.no_grad():
        assert torch.equal(twin(x), model(x))
    assert differences(twin) == 0


@every_part
def test_the_stream_is_its_evaluation_after_every_step(options: dict[str, object]):
    twin = spikelet.convert(settled(**options), images(1), time_steps=4, schedule="stream").eval()
    assert differences(twin.every_step()) == 0


def test_a_barrier_of_fewer_steps_has_as_many_levels():
    twin = spikelet.convert(settled(), images(1), time_steps=4, schedule="barrier")
    assert {m.levels for m in twin.modules() if isinstance(m, Levels)} == {4}


@pytest.mark.parametrize("attention", ["softmax", "running_softmax"])
def test_twins_with_a_softmax_run_as_floats_and_do_not_lower(attention: str):
    twin = spikelet.convert(settled(attention=attention), images(1), time_steps=3, schedule="stream").eval()
    with torch.no_grad():
        assert twin(images(2)).shape == (3, 2, 10)
    with pytest.raises(LoweringError, match=r"attention\.weights \((softmax|div)\)"):
        lower(twin, images(1))
