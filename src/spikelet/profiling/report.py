"""A profile: what every layer holds and does, and what that costs under each named table.

All figures are means per sample. Energies are in picojoules in the JSON and in microjoules in the table,
and always under the name of their table.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterable
from typing import Any

from spikelet.base.errors import SpikeletError
from spikelet.base.page import Displayed, Facts, Heading, Page, Part
from spikelet.base.table import Table
from spikelet.export import Report as Device
from spikelet.profiling.baseline import quantized_twin
from spikelet.profiling.energy import EnergyTable
from spikelet.profiling.layers import ChannelLayer, Layer, NeuroBenchCounts, NeuronLayer, SynapseLayer
from spikelet.profiling.table import MAIN_COUNTS, PARTS, TITLES, Subject, table_of
from spikelet.profiling.table import Part as PartName

SCHEMA = "spikelet.profile/1"
ON_A_DEVICE = Heading("As C on a device (spikelet export)")


@dataclasses.dataclass(frozen=True)
class Total:
    """Sums over all layers.

    peak_membrane_bytes: of the largest layer alone.
    output_rate: spikes per neuron and step.
    unrolled_sops: of layers that read spikes or counts; None where none does.
    spikes_per_synapse: per inference, the mean over synapses that carry spikes; None where none does.
    membrane_updates: None where a layer has none recorded.
    energy_pj: by the table's name; None where a layer has no energy under it.
    """

    parameters: int
    packed_bytes: int
    membrane_bytes: int
    peak_membrane_bytes: int
    peak_arena_bytes: int
    neurons: int
    macs_per_step: int
    macs: float
    paper_sops: float
    paper_macs: float
    unrolled_sops: float | None
    neurobench: NeuroBenchCounts
    bops: float
    ns_ace: float
    spikes: float
    output_rate: float
    spikes_per_synapse: float | None
    membrane_updates: float | None
    energy_pj: dict[str, float | None]


@dataclasses.dataclass(frozen=True)
class Baseline:
    """The network of ceil(log2(T + 1))-bit activations that runs once. See baseline.py."""

    activation_bits: int
    macs: float
    bops: float
    energy_pj: dict[str, float | None]


@dataclasses.dataclass(frozen=True, repr=False)
class Report(Displayed):
    """The profile of one network on some samples. `print(report)` shows its tables, `table(part)` gives one.

    layers: in the order in which they ran.
    peak_arena_bytes: memory for the activations of one sample. A graph's is the arena of its plan for the portable
        kernels: maps as they are padded, and scratch memory. A module's is an estimate without both; see arena.py.
    tables: what energies are given under.
    device: flash and RAM of the network as exported C; None where nobody worked them out.
    """

    model: str
    time_steps: int
    samples: int
    layers: tuple[Layer, ...]
    peak_arena_bytes: int
    tables: tuple[EnergyTable, ...]
    device: Device | None = None

    def __post_init__(self) -> None:
        names = [table.name for table in self.tables]
        if len(set(names)) != len(names):
            raise SpikeletError(f"tables must have different names, got {', '.join(names)}.")

    @property
    def synapses(self) -> list[SynapseLayer]:
        """Convolutions, linear layers and products of two tensors."""
        return [layer for layer in self.layers if isinstance(layer, SynapseLayer)]

    @property
    def neurons(self) -> list[NeuronLayer]:
        """Layers of spiking neurons."""
        return [layer for layer in self.layers if isinstance(layer, NeuronLayer)]

    def energy_pj(self, layer: Layer) -> dict[str, float | None]:
        """One layer's energy by the table's name."""
        return {table.name: _energy(table, layer) for table in self.tables}

    @functools.cached_property
    def total(self) -> Total:
        """Sums over all layers."""
        synapses, neurons = self.synapses, self.neurons
        spiking = [layer for layer in synapses if layer.spiking_input]
        unrolled = [layer.unrolled_sops for layer in synapses if layer.unrolled_sops is not None]
        return Total(
            parameters=sum(layer.parameters for layer in self.layers),
            packed_bytes=sum(layer.packed_bytes for layer in self.layers),
            membrane_bytes=sum(layer.membrane_bytes for layer in neurons),
            peak_membrane_bytes=max(layer.membrane_bytes for layer in neurons),
            peak_arena_bytes=self.peak_arena_bytes,
            neurons=sum(layer.neurons for layer in neurons),
            macs_per_step=sum(layer.macs_per_step for layer in synapses),
            macs=sum(layer.macs for layer in synapses),
            paper_sops=sum(layer.paper_sops for layer in synapses),
            paper_macs=sum(layer.paper_macs for layer in synapses),
            unrolled_sops=sum(unrolled) if unrolled else None,
            neurobench=NeuroBenchCounts(
                effective_acs=sum(layer.neurobench.effective_acs for layer in synapses),
                effective_macs=sum(layer.neurobench.effective_macs for layer in synapses),
                dense=sum(layer.neurobench.dense for layer in synapses),
            ),
            bops=sum(layer.bops for layer in synapses),
            ns_ace=sum(layer.ns_ace for layer in synapses),
            spikes=sum(layer.spikes for layer in neurons),
            output_rate=sum(layer.spikes for layer in neurons) / sum(n.neurons * n.time_steps for n in neurons),
            spikes_per_synapse=(
                sum(layer.paper_sops for layer in spiking) / sum(layer.macs_per_step for layer in spiking)
                if spiking
                else None
            ),
            membrane_updates=_sum(layer.membrane_updates for layer in neurons),
            energy_pj={table.name: _sum(_energy(table, layer) for layer in self.layers) for table in self.tables},
        )

    @functools.cached_property
    def baseline(self) -> Baseline:
        """The bit-matched network without spikes, to put beside `total`."""
        bits, twins = quantized_twin(self.synapses, self.time_steps)
        return Baseline(
            activation_bits=bits,
            macs=sum(twin.macs for twin in twins),
            bops=sum(twin.bops for twin in twins),
            energy_pj={table.name: _sum(table.synapses_pj(twin) for twin in twins) for table in self.tables},
        )

    def table(self, *parts: PartName) -> Table:
        """Rows of text; `parts` are "size", "operations" and "energy", all of them where none is named."""
        baseline = f"without spikes, {self.baseline.activation_bits} bit"
        footer = [
            Subject("total", self.total, self._titled(self.total.energy_pj)),
            Subject(baseline, self.baseline, self._titled(self.baseline.energy_pj)),
        ]
        layers = [Subject(layer.name, layer, self._titled(self.energy_pj(layer))) for layer in self.layers]
        return table_of(parts or PARTS, layers, footer)

    def page(self) -> Page:
        """Sizes, the main counts of operations, and energies, a table each."""
        parts: list[Part] = [f"{self.model}, T = {self.time_steps}, means over {self.samples} samples"]
        for name in PARTS:
            table = self.table(name)
            parts += [Heading(TITLES[name]), table.only(MAIN_COUNTS) if name == "operations" else table]
            parts += [ON_A_DEVICE, Facts(self.device.facts())] if name == "size" and self.device else []
        return Page((*parts, 'All counts of operations: report.table("operations")'))

    def in_short(self) -> str:
        """The network, its T, samples and layers."""
        return f"{self.model}, T = {self.time_steps}, {self.samples} samples, {len(self.layers)} layers"

    def _titled(self, energy_pj: dict[str, float | None]) -> dict[str, float | None]:
        return {table.title: energy_pj[table.name] for table in self.tables}

    def to_json(self) -> str:
        """The report as a JSON text of schema `SCHEMA`; the same report gives the same text."""
        document = {
            "schema": SCHEMA,
            "model": self.model,
            "time_steps": self.time_steps,
            "samples": self.samples,
            "energy_tables": [_table_json(table) for table in self.tables],
            "layers": [self._layer_json(layer) for layer in self.layers],
            "total": dataclasses.asdict(self.total),
            "device": self.device.to_json() if self.device else None,
            "baseline_quantized_network": dataclasses.asdict(self.baseline),
        }
        return json.dumps(document, indent=2, allow_nan=False) + "\n"

    def _layer_json(self, layer: Layer) -> dict[str, Any]:
        match layer:
            case SynapseLayer():
                derived = (
                    *("macs", "input_rate", "paper_sops", "paper_macs", "unrolled_sops"),
                    *("bops", "ns_ace", "spikes_per_synapse"),
                )
            case NeuronLayer():
                derived = ("neurons", "output_rate", "membrane_bytes")
            case ChannelLayer():
                derived = ()
        return {
            "layer": type(layer).__name__.removesuffix("Layer").lower(),
            **dataclasses.asdict(layer),
            **{name: getattr(layer, name) for name in derived},
            "energy_pj": self.energy_pj(layer),
        }


def _table_json(table: EnergyTable) -> dict[str, Any]:
    constants = {name: dataclasses.asdict(constant) for name, constant in table.constants().items()}
    return {"name": table.name, "unit": "pJ", "constants": constants}


def _energy(table: EnergyTable, layer: Layer) -> float | None:
    match layer:
        case SynapseLayer():
            return table.synapses_pj(layer)
        case NeuronLayer():
            return table.neurons_pj(layer)
        case ChannelLayer():
            return 0.0


def _sum(values: Iterable[float | None]) -> float | None:
    """The sum, or None where a part is None."""
    total = 0.0
    for value in values:
        if value is None:
            return None
        total += value
    return total
