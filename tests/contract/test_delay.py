"""Delays and the networks of signals that are made of them: in PyTorch, as integers, and as a stream."""

from __future__ import annotations

import pytest
import torch

import spikelet
from spikelet import Program, create_model
from spikelet.base.errors import SpikeletError
from spikelet.neurons import Delay
from tests.support.catalogue import small_model


def test_a_delay_gives_what_was_steps_ago_and_zeros_before() -> None:
    x = torch.arange(1.0, 6).view(5, 1, 1)
    assert Delay(5, 2)(x).flatten().tolist() == [0, 0, 1, 2, 3]
    assert Delay(5, 9)(x).flatten().tolist() == [0] * 5
    assert Delay(3)(x[:1]).flatten().tolist() == [0, 1, 1]
    with pytest.raises(SpikeletError, match=r"Delay of time_steps=4 takes .* got \(5, 1, 1\)"):
        Delay(4)(x)
    with pytest.raises(SpikeletError, match=r"Delay\.steps must be a whole number"):
        Delay(4, 0)


@pytest.mark.parametrize("frames", [True, False], ids=["frames", "still"])
def test_a_stream_is_the_whole_run_bit_for_bit(frames: bool) -> None:
    torch.manual_seed(0)
    model = small_model("stream_lif", time_steps=20, delays=((0, 2, 5), (1, 3)), time_constants=(1, 3, 64))
    noise = torch.randint(0, 256, (20, 8, 3, 1, 1), dtype=torch.uint8)
    with torch.no_grad():
        model.train()(noise)
    x = noise if frames else noise[0]
    graph = spikelet.lower(model.eval(), x, time_axis=0 if frames else None)
    with torch.no_grad():
        logits = model(x).mean(0)
    whole = Program(graph)(x.numpy())
    assert (logits.argmax(1) == torch.from_numpy(whole).argmax(1)).all()
    assert len({tuple(row) for row in whole.tolist()}) > 1
    stream = Program(graph).stream()
    state, y = stream.start(8), None
    for t in range(20):
        y, state = stream((x[t : t + 1] if frames else x[None]).numpy(), state)
    assert y is not None
    assert (y == whole).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"delays": ((0,),)}, "delays must be one list a layer"),
        ({"delays": ((0, 0), (0,))}, "delays must be steps back that rise"),
        ({"time_constants": (0.5,)}, "time_constants must be numbers of steps from 1"),
        ({"time_constants": ()}, "time_constants must be one or more"),
    ],
    ids=["one list", "twice", "half a step", "none"],
)
def test_options_out_of_range_are_named(options: dict[str, object], said: str) -> None:
    with pytest.raises(SpikeletError, match=said):
        create_model("stream_lif", **options)
