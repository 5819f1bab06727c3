"""From a snnTorch network to a packed integer file: `main` is the dozen lines.

    pip install snntorch
    python examples/snntorch_to_integers.py

The network and its training loop are snnTorch's own: its default neurons, which reset a step late and fire strictly
above their threshold, and a beta of 0.9, which is rounded to the grid of leaks. Under a minute on one core.
"""

from __future__ import annotations

from pathlib import Path

import snntorch as snn
import torch
import torch.nn.functional as F
from snntorch import surrogate
from torch import Tensor, nn

import spikelet
from spikelet.compression import Finetune, Prune, Quantize
from spikelet.compression.filters import first, last
from spikelet.data import DataSplits, Epoch, batches, load
from spikelet.lowering.verify import Verification
from spikelet.quant import Uniform

T = 4


class Residual(nn.Module):
    """s -> leaky(norm(conv(s)) + s), one time step."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.leaky = snn.Leaky(beta=0.9, init_hidden=True, spike_grad=surrogate.fast_sigmoid(slope=5))

    def forward(self, s: Tensor) -> Tensor:
        """Spikes [B, C, H, W] -> spikes of the same shape."""
        return self.leaky(self.norm(self.conv(s)) + s)


def network(channels: int = 32) -> nn.Sequential:
    """Images [B, 1, 8, 8] -> logits [B, 10], for one time step; the neurons keep their membranes."""
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        snn.Leaky(beta=0.5, init_hidden=True, spike_grad=surrogate.fast_sigmoid(slope=5)),
        Residual(channels),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(channels * 4 * 4, 10),
    )


def train(net: nn.Sequential, data: DataSplits, epochs: int) -> None:
    """As snnTorch's tutorials do it: the loop over time outside, states reset before it."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=4e-3)
    neurons = [m for m in net.modules() if isinstance(m, snn.Leaky)]
    for epoch in range(epochs):
        for x, y in batches(data.train, 32, epoch=Epoch(seed=0, number=epoch)):
            for one in neurons:
                one.reset_mem()
            logits = torch.stack([net(x.float() / 255) for _ in range(T)])
            loss = F.cross_entropy(logits.mean(0), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"snnTorch epoch {epoch + 1}/{epochs}  loss {loss.item():.3f}", flush=True)


def main(folder: Path, epochs: int = 4, finetune_epochs: int = 4) -> Verification:
    """Trains, converts, compresses, lowers, verifies, saves, runs; prints each step and returns what differed."""
    torch.manual_seed(0)
    data = load("digits")
    net = network()
    train(net, data, epochs)

    model = spikelet.from_snntorch(net, time_steps=T, round_leak=True)  # bytes in, no state; net is left alone
    print(f"beside snnTorch:\n{model.compare(batches(data.test, 200))}")  # what the grids cost
    outer = first() | last()
    bits = [Quantize(4, where=~outer), Quantize(Uniform(8, per_channel=False), where=outer)]
    small, report = spikelet.compress(model, [*bits, Prune(0.25), Finetune(finetune_epochs)], data)
    print(report)
    graph = spikelet.lower(small, data.test.x[:1], labels=data.test.labels)  # integers only
    verification = spikelet.verify(graph, small, batches(data.test, 200), spikelet.Program)
    spikelet.save(graph, folder / "snntorch.safetensors")
    program = spikelet.Program(spikelet.load(folder / "snntorch.safetensors"))  # needs no PyTorch code
    logits = program(data.test.x[:5].numpy())
    print(f"compressed, as integers, beside snnTorch:\n{small.compare(batches(data.test, 200), program=program)}")

    floats = 4 * sum(p.numel() for p in net.parameters())
    print(f"{(folder / 'snntorch.safetensors').stat().st_size:,} bytes; the float32 network has {floats:,}")
    print(f"mismatches between PyTorch and the integer program: {verification.mismatches}\n{verification}")
    print("classes:", *(graph.labels[k] for k in logits.argmax(1)), " labels:", *data.test.y[:5].tolist())
    return verification


if __name__ == "__main__":
    torch.set_num_threads(1)  # tensors as small as these only lose by being shared
    out = Path("demo")
    out.mkdir(exist_ok=True)
    main(out)
