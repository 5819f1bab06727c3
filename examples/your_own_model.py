"""A network of your own, from PyTorch to integers.

    python examples/your_own_model.py

Nothing here comes from spikelet's model catalogue: an nn.Module with a loop and a residual sum, a plain PyTorch
training loop, and then lower -> verify -> save -> load -> run. A few seconds on one core.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import spikelet
from spikelet.data import Epoch, batches, load
from spikelet.lowering.verify import Verification
from spikelet.neurons import LIF, LIFParams, QuantizedMembrane, Soft
from spikelet.nn import BatchNorm2d, Conv2d, Encode, Linear, MaxPool2d
from spikelet.quant import Binary, Uniform


class Residual(nn.Module):
    """s -> LIF(norm(conv(s)) + s): 1-bit weights, a sum, 4-bit membranes that keep what is above the threshold."""

    def __init__(self, channels: int, time_steps: int) -> None:
        super().__init__()
        self.conv = Conv2d(channels, channels, 3, Binary(), padding=1)
        self.norm = BatchNorm2d(channels)
        self.neuron = LIF(time_steps, LIFParams(leak=0.75, reset=Soft()), QuantizedMembrane(4))

    def forward(self, s: Tensor) -> Tensor:
        """Spikes [T, B, C, H, W] -> spikes of the same shape."""
        return self.neuron(self.norm(self.conv(s)) + s)


class MyNetwork(nn.Module):
    """uint8 images [B, 1, 8, 8] -> logits [T, B, 10]. Time is the first axis, and nobody resets anything."""

    def __init__(self, channels: int = 32, blocks: int = 2, time_steps: int = 3) -> None:
        super().__init__()
        self.encode = Encode()
        stem = Conv2d(1, channels, 3, Uniform(8), stride=2, padding=1)
        self.stem = nn.Sequential(stem, BatchNorm2d(channels), LIF(time_steps))
        self.blocks = nn.ModuleList(Residual(channels, time_steps) for _ in range(blocks))
        self.pool = MaxPool2d(2)
        self.classifier = Linear(channels * 2 * 2, 10, Uniform(8, per_channel=False))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of every time step."""
        s = self.stem(self.encode(x))
        for block in self.blocks:  # any Python will do: lowering records what runs
            s = block(s)
        return self.classifier(self.pool(s).flatten(2))


def main(folder: Path, epochs: int = 6) -> Verification:
    """Trains, lowers, verifies, saves, runs; prints each step and returns what differed."""
    torch.manual_seed(0)
    data = load("digits")
    model = MyNetwork()
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)

    for epoch in range(epochs):
        for x, y in batches(data.train, 32, epoch=Epoch(seed=0, number=epoch)):  # uint8 in
            loss = F.cross_entropy(model(x).mean(0), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch + 1}/{epochs}  loss {loss.item():.3f}", flush=True)
    model.eval()

    graph = spikelet.lower(model, data.test.x[:1], labels=data.test.labels)  # integers only
    verification = spikelet.verify(graph, model, batches(data.test, 200), spikelet.Program)
    print(verification)

    path = folder / "my_network.safetensors"
    spikelet.save(graph, path)
    weights = sum(p.numel() for p in model.parameters() if p.dim() > 1)
    print(f"{path.name}: {path.stat().st_size:,} bytes for {weights:,} weights ({4 * weights:,} bytes as float32)")

    program = spikelet.Program(spikelet.load(path))  # needs no model code
    logits = program(data.test.x[:5].numpy())
    print("classes:", *(graph.labels[k] for k in logits.argmax(1)), " labels:", *data.test.y[:5].tolist())
    return verification


if __name__ == "__main__":
    torch.set_num_threads(1)  # tensors as small as these only lose by being shared
    out = Path("demo")
    out.mkdir(exist_ok=True)
    main(out)
