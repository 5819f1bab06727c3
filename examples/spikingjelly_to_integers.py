"""From a SpikingJelly network to a packed integer file: `main` is the dozen lines.

    pip install --no-deps spikingjelly==2.0.0 && pip install loguru
    python examples/spikingjelly_to_integers.py

The network and its training loop are SpikingJelly's, floats and all. Then: convert, prune, quantize, fine-tune, lower,
verify, save, load, run. Under a minute on one core.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn

import spikelet
from spikelet.compression import Finetune, Prune, Quantize
from spikelet.compression.filters import first, last
from spikelet.data import DataSplits, Epoch, batches, load
from spikelet.lowering.verify import Verification
from spikelet.quant import Uniform

T = 4


class Net(nn.Module):
    """Images [T, B, 1, 8, 8] -> logits [T, B, 10]: a stem, a residual block, a classifier."""

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        self.stem = layer.Conv2d(1, channels, 3, padding=1, bias=False)
        self.stem_norm = layer.BatchNorm2d(channels)
        self.stem_neuron = neuron.LIFNode(tau=2.0, surrogate_function=surrogate.ATan())
        self.conv = layer.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = layer.BatchNorm2d(channels)
        self.neuron = neuron.IFNode(v_reset=None, surrogate_function=surrogate.ATan())
        self.pool = layer.MaxPool2d(2)
        self.fc = layer.Linear(channels * 4 * 4, 10)
        functional.set_step_mode(self, "m")

    def forward(self, x: Tensor) -> Tensor:
        """Logits of every time step."""
        s = self.stem_neuron(self.stem_norm(self.stem(x)))
        s = self.neuron(self.norm(self.conv(s)) + s)
        return self.fc(self.pool(s).flatten(2))


def train(net: nn.Module, data: DataSplits, epochs: int) -> None:
    """As SpikingJelly's tutorials do it."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=4e-3)
    for epoch in range(epochs):
        for x, y in batches(data.train, 32, epoch=Epoch(seed=0, number=epoch)):
            frames = (x.float() / 255).unsqueeze(0).repeat(T, 1, 1, 1, 1)
            loss = F.cross_entropy(net(frames).mean(0), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            functional.reset_net(net)
        print(f"SpikingJelly epoch {epoch + 1}/{epochs}  loss {loss.item():.3f}", flush=True)


def main(folder: Path, epochs: int = 4, finetune_epochs: int = 4) -> Verification:
    """Trains, converts, compresses, lowers, verifies, saves, runs; prints each step and returns what differed."""
    torch.manual_seed(0)
    data = load("digits")
    net = Net()
    train(net, data, epochs)

    model = spikelet.from_spikingjelly(net, time_steps=T)  # bytes in, no state; net is left alone
    print(f"beside SpikingJelly:\n{model.compare(batches(data.test, 200))}")  # what the grids cost
    outer = first() | last()
    bits = [Quantize(4, where=~outer), Quantize(Uniform(8, per_channel=False), where=outer)]
    small, report = spikelet.compress(model, [*bits, Prune(0.25), Finetune(finetune_epochs)], data)
    print(report)
    graph = spikelet.lower(small, data.test.x[:1], labels=data.test.labels)  # integers only
    verification = spikelet.verify(graph, small, batches(data.test, 200), spikelet.Program)
    spikelet.save(graph, folder / "spikingjelly.safetensors")
    program = spikelet.Program(spikelet.load(folder / "spikingjelly.safetensors"))  # needs no PyTorch code
    logits = program(data.test.x[:5].numpy())
    print(f"compressed, as integers, beside SpikingJelly:\n{small.compare(batches(data.test, 200), program=program)}")

    floats = 4 * sum(p.numel() for p in net.parameters())
    print(f"{(folder / 'spikingjelly.safetensors').stat().st_size:,} bytes; the float32 network has {floats:,}")
    print(f"mismatches between PyTorch and the integer program: {verification.mismatches}\n{verification}")
    print("classes:", *(graph.labels[k] for k in logits.argmax(1)), " labels:", *data.test.y[:5].tolist())
    return verification


if __name__ == "__main__":
    torch.set_num_threads(1)  # tensors as small as these only lose by being shared
    out = Path("demo")
    out.mkdir(exist_ok=True)
    main(out)
