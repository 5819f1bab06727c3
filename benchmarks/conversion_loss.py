"""What converting a trained network of another library costs: digits, integers on the whole test set, seed by seed.

    python -m benchmarks.conversion_loss [--seeds 0 1 2] [--libraries snntorch] [--out conversion_loss.json]

    8 bits                 all weights, nothing trained after the conversion           at most 0.5 points lost
    4 bits                 hidden weights, the outer ones 8, then 3 epochs              at most 1 point
    1 bit without norms    hidden weights of a network that has no batch norms, then 3 epochs      at most 10 points

The loss is that of the packed integers beside the other library's own network in floats. Each network is trained as
its library does it, T = 4, a loop over time or multi-step layers; the last epoch counts, and the test set is looked at
once for each row. A row is written where no spike and no logit of PyTorch and the integers differs. The command ends
with 1 where a limit is passed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.end_to_end import machine
from benchmarks.verified import verified
from spikelet import compress, from_snntorch, from_spikingjelly, lower
from spikelet.base.files import atomic_write
from spikelet.compression import Finetune, Pass, Quantize, first, last
from spikelet.data import DataSplits, Epoch, batches, load
from spikelet.interop.converted import Converted
from spikelet.quant import Uniform

T, CHANNELS = 4, 16
Logits = Callable[[Tensor], Tensor]


@dataclasses.dataclass(frozen=True)
class Theirs:
    """A network of another library: its logits [B, K] for floats [B, 1, 8, 8], and its conversion."""

    net: nn.Module
    logits: Logits
    convert: Callable[[], Converted]


def snntorch(has_norms: bool) -> Theirs:
    """Two convolutions and a classifier, the loop over time around them."""
    import snntorch as snn
    from snntorch import surrogate

    def leaky() -> nn.Module:
        return snn.Leaky(beta=0.5, init_hidden=True, spike_grad=surrogate.fast_sigmoid(slope=5))

    def block(c_in: int) -> list[nn.Module]:
        norm = [nn.BatchNorm2d(CHANNELS)] if has_norms else []
        return [nn.Conv2d(c_in, CHANNELS, 3, padding=1, bias=not has_norms), *norm, leaky()]

    net = nn.Sequential(
        *block(1), *block(CHANNELS), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * CHANNELS, 10)
    )  # fmt: skip

    def logits(x: Tensor) -> Tensor:
        for module in net.modules():
            if isinstance(module, snn.Leaky):
                module.reset_mem()
        return torch.stack([net(x) for _ in range(T)]).mean(0)

    return Theirs(net, logits, lambda: from_snntorch(net, time_steps=T))


def spikingjelly(has_norms: bool) -> Theirs:
    """The same layers, each of which takes all steps at once."""
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    def block(c_in: int) -> list[nn.Module]:
        norm = [layer.BatchNorm2d(CHANNELS)] if has_norms else []
        lif = neuron.LIFNode(tau=2.0, decay_input=False, surrogate_function=surrogate.ATan())
        return [layer.Conv2d(c_in, CHANNELS, 3, padding=1, bias=not has_norms), *norm, lif]

    net = nn.Sequential(
        *block(1), *block(CHANNELS), layer.MaxPool2d(2), layer.Flatten(), layer.Linear(16 * CHANNELS, 10)
    )  # fmt: skip
    functional.set_step_mode(net, "m")

    def logits(x: Tensor) -> Tensor:
        functional.reset_net(net)
        return net(x.unsqueeze(0).repeat(T, 1, 1, 1, 1)).mean(0)

    return Theirs(net, logits, lambda: from_spikingjelly(net, time_steps=T))


LIBRARIES: dict[str, Callable[[bool], Theirs]] = {"snntorch": snntorch, "spikingjelly": spikingjelly}


@dataclasses.dataclass(frozen=True)
class Variant:
    """What is done after conversion, and the most points of accuracy that it may cost."""

    name: str
    hidden_bits: int
    epochs: int
    has_norms: bool
    limit: float

    def passes(self, seed: int) -> list[Pass]:
        """Bits, and training where there is any. Logits share one factor, as no norm would take theirs out."""
        outer = first() | last()
        bits: list[Pass] = [
            Quantize(self.hidden_bits, where=~outer),
            Quantize(Uniform(8, per_channel=False), where=outer),
        ]
        return bits + ([Finetune(self.epochs, lr=2e-3, batch_size=32, loss="mean", seed=seed)] if self.epochs else [])


VARIANTS = (
    Variant("8 bits", 8, 0, True, 0.5),
    Variant("4 bits", 4, 3, True, 1.0),
    Variant("1 bit without norms", 1, 3, False, 10.0),
)


@dataclasses.dataclass(frozen=True)
class Row:
    """Accuracies in 0..1; lost in points."""

    library: str
    variant: str
    seed: int
    original: float
    converted: float
    integers: float
    lost: float
    limit: float


def trained(theirs: Theirs, data: DataSplits, seed: int, epochs: int) -> Theirs:
    """The same network, trained in floats by cross-entropy on the mean logits."""
    theirs.net.train()
    optimizer = torch.optim.AdamW(theirs.net.parameters(), lr=4e-3)
    for epoch in range(epochs):
        for x, y in batches(data.train, 32, epoch=Epoch(seed, epoch)):
            loss = F.cross_entropy(theirs.logits(x.float() / 255), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    theirs.net.eval()
    return theirs


def rows(library: str, data: DataSplits, seed: int, epochs: int) -> list[Row]:
    """The rows of one library and seed: each network is trained once, and serves the variants that take it."""
    found = []
    for has_norms in (True, False):
        torch.manual_seed(seed)
        converted = trained(LIBRARIES[library](has_norms), data, seed, epochs).convert()
        beside = converted.compare(batches(data.test, 200))
        for variant in VARIANTS:
            if variant.has_norms == has_norms:
                small = compress(converted, variant.passes(seed), data).model
                graph = lower(small, data.test.x[:1], labels=data.test.labels)
                integers = verified(graph, small, data.test).integer_accuracy
                lost = 100 * (beside.original_accuracy - integers)
                accuracies = beside.original_accuracy, beside.accuracy, integers
                found.append(Row(library, variant.name, seed, *accuracies, round(lost, 2), variant.limit))
    return found


def main() -> None:
    """Prints the table row by row, and writes it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--libraries", nargs="+", choices=sorted(LIBRARIES), default=sorted(LIBRARIES))
    parser.add_argument("--epochs", type=int, default=6, help="of the other library's training")
    parser.add_argument("--out", type=Path, default=None, help="write the rows as JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data, found = load("digits"), []
    print(
        f"{'library':14}{'variant':22}{'seed':>5}{'original':>10}{'converted':>11}{'integers':>10}{'lost':>8}{'limit':>7}"
    )
    for seed in options.seeds:
        for library in options.libraries:
            for row in rows(library, data, seed, options.epochs):
                shares = "".join(
                    f"{100 * v:{w}.2f}"
                    for v, w in zip((row.original, row.converted, row.integers), (10, 11, 10), strict=True)
                )
                print(
                    f"{row.library:14}{row.variant:22}{row.seed:5}{shares}{row.lost:8.2f}{row.limit:7.1f}", flush=True
                )
                found.append(row)
    if options.out is not None:
        written = {"machine": machine(), "rows": [dataclasses.asdict(row) for row in found]}
        with atomic_write(options.out) as file:
            file.write((json.dumps(written, indent=1) + "\n").encode())
    sys.exit(any(row.lost > row.limit for row in found))


if __name__ == "__main__":
    main()
