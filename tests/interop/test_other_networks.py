"""What becomes of 47 networks that other people wrote, and of others as users write them: each outcome of
docs/other_networks.md.

A network that goes is converted, compared spike for spike with the original, in float64 without a difference, given
weights of 4 bits, lowered, saved, loaded and run: 0 mismatches.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.base.errors import SpikeletError
from spikelet.interop.converted import Converted
from spikelet.nn import Conv1d, Conv2d, Linear
from spikelet.quant import Uniform

pytest.importorskip("snntorch", reason="needs snnTorch")
pytest.importorskip("spikingjelly", reason="needs SpikingJelly, installed with --no-deps")
from tests.interop.networks.network import Network
from tests.interop.networks.table import NETWORKS, PAGE, READY_MADE, page
from tests.interop.networks.without_grids import compared, converted

GO = [name for name, network in NETWORKS.items() if not network.refused]
REFUSED = [name for name in NETWORKS if name not in GO]


def built(network: Network) -> nn.Module:
    """With norms that let its neurons fire."""
    torch.manual_seed(0)
    net = network.make(network.divided)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.0)
            if module.bias is not None:  # a norm through time has none
                nn.init.uniform_(module.bias, 0.0, 2.0)
    return net.eval()


def inputs(network: Network) -> Tensor:
    """Bytes of an image, or frames of 0 and 1, for two samples."""
    leading = {None: (2,), 0: (network.time_steps, 2), 1: (2, network.time_steps)}[network.options.get("time_axis")]
    top = 2 if "time_axis" in network.options else 256
    return torch.randint(0, top, (*leading, *network.sample), dtype=torch.uint8)


def of_4_bits(model: Converted) -> Converted:
    for module in model.modules():
        if isinstance(module, Conv1d | Conv2d | Linear):
            module.quantizer = Uniform(4)
    return model


@pytest.mark.parametrize("name", GO)
def test_it_goes(name: str, tmp_path: Path) -> None:
    network = NETWORKS[name]
    net, x, labels = built(network), inputs(network), torch.tensor([0, 1])
    model = converted(net, network.options, network.time_steps)
    report = model.compare([(x, labels)])
    assert report.different <= 0.1 * report.compared
    assert sum(spikes.original for spikes in report.layers) > 0
    graph = spikelet.lower(of_4_bits(model), x, time_axis=model.time_axis)
    spikelet.save(graph, tmp_path / "model.safetensors")
    graph = spikelet.load(tmp_path / "model.safetensors", max_bytes=2**34)
    result = spikelet.verify(graph, model, [(x, labels)], spikelet.Program, time_axis=model.time_axis)
    assert result.mismatches == 0, str(result)
    assert not result.not_compared
    assert spikelet.Program(graph).fallbacks == ()


@pytest.mark.parametrize("name", GO)
def test_without_grids_every_spike_is_the_original_s(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = NETWORKS[name]
    net, x = built(network), inputs(network)
    options = {"scale": 1 / 256, **network.options}
    report = compared(net, options, network.time_steps, x, monkeypatch)
    assert report.different == 0, str(report)
    assert report.compared > 0


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_these_words(name: str) -> None:
    network = NETWORKS[name]
    net, x = built(network), inputs(network)

    def to_integers() -> None:
        model = converted(net, network.options, network.time_steps)
        spikelet.lower(of_4_bits(model), x, time_axis=model.time_axis)

    with pytest.raises(SpikeletError, match=network.refused):
        to_integers()


def test_at_least_38_of_47_go() -> None:
    known = [network for networks in READY_MADE.values() for network in networks]
    assert len(known) == 47
    assert sum(not network.refused for network in known) >= 38


def test_the_page_shows_these_outcomes() -> None:
    assert PAGE.read_text() == page(), "python -m tests.interop.networks.table writes it anew"
