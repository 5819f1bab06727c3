"""Named tables of energy. An energy without the name of its table means nothing; never add two tables.

All constants are of a 45 nm process at 0.9 V (Horowitz, ISSCC 2014, doi:10.1109/ISSCC.2014.6757323), in pJ.

horowitz_fp32   The convention of the papers: 4.6 per MAC, 0.9 per accumulate, as if every number were a
                32-bit float, whatever its bits. Operations under the papers' rule; neurons and memory cost nothing.

horowitz_int    The same operations at the widths of an integer program: an int32 addition each, and where both
                factors have more than one bit a multiplication (int8, or int32 above 8 bits). Neurons and
                memory cost nothing. Says nothing about float weights.

lemaire         After Lemaire et al., ICONIP 2022, arXiv:2210.13107: operations, addressing and
                memory. a = addition, m = multiplication (int32), N_in, N_out
                values of one step, E(bits, bytes) = one access to a memory of that many bytes.

    spiking input (theta = input spikes, n = additions that take place)
        operations   n a
        addressing   n a + 2 theta (m + a)                  linear: n a
        memory       theta E(address) + n E(weight) + 2 n E(accumulator)
    other input (M = dense MACs)
        operations   M (m + a)
        addressing   (N_in + N_out + C_out kh kw) a         linear: N_in N_out a, each step
        memory       M E(input) + M E(weight) + N_out E(accumulator)    linear: N_in E(input), each step
    neurons (T steps, theta = output spikes)
        operations   T N (m + a) for the leak + T N a + theta a for the reset
        memory       T N E(accumulator) + 2 T N E(membrane) + theta E(address)

                Ours, not the paper's: counts are exact where the paper multiplies rates with shapes (padding and
                stride), accumulators and membranes are separate (32 bits, k bits), an address has
                ceil(log2 N) bits, a factor of one bit needs no multiplication, widths are the network's own,
                and a product of two tensors that are no spikes has M addresses and M reads. E is linear
                between its points, flat below the first, and goes on above the last; a 64-bit access serves
                64 / bits values.
"""

from __future__ import annotations

import abc
import dataclasses
import itertools
import math

from spikelet.base.errors import SpikeletError
from spikelet.profiling.layers import NeuronLayer, SynapseLayer

HOROWITZ = "45 nm, 0.9 V: Horowitz, Computing's energy problem, ISSCC 2014"
ACCUMULATOR_BITS = 32


@dataclasses.dataclass(frozen=True)
class Cost:
    """Energy of one operation and where the figure comes from. Raises SpikeletError where one is missing."""

    pj: float
    source: str

    def __post_init__(self) -> None:
        if not (math.isfinite(self.pj) and self.pj > 0):
            raise SpikeletError(f"Cost.pj must be a positive number of picojoules, got {self.pj}.")
        if not self.source.strip():
            raise SpikeletError(f"Cost.source must say where {self.pj} pJ comes from, got {self.source!r}.")


@dataclasses.dataclass(frozen=True)
class Sram:
    """Energy of a memory access by memory size.

    points: (bytes, pJ of a 64-bit access), two or more, both rising.
    """

    points: tuple[tuple[int, float], ...]
    source: str
    access_bits: int = dataclasses.field(default=64, init=False)

    def __post_init__(self) -> None:
        if len(self.points) < 2:
            raise SpikeletError(f"Sram.points needs at least two (bytes, pJ), got {self.points}.")
        for low, high in itertools.pairwise(((0, 0.0), *self.points)):
            if not (high[0] > low[0] and high[1] > low[1] and math.isfinite(high[1])):
                raise SpikeletError(f"Sram.points must rise in bytes and in pJ, got {low} before {high}.")
        if not self.source.strip():
            raise SpikeletError(f"Sram.source must say where the points come from, got {self.source!r}.")

    def access_pj(self, bits: float, size_bytes: float) -> float:
        """Energy of reading or writing one value of `bits` bits in a memory of `size_bytes`."""
        segments = list(itertools.pairwise(self.points))
        (x0, y0), (x1, y1) = next((s for s in segments if size_bytes <= s[1][0]), segments[-1])
        word = y0 + (y1 - y0) * max(size_bytes - x0, 0) / (x1 - x0)
        return word * bits / self.access_bits


class EnergyTable(abc.ABC):
    """A rule and its constants. `name` labels every figure that comes from it."""

    name: str

    @property
    def title(self) -> str:
        """Name and unit, for the head of a column."""
        return f"{self.name} [uJ]"

    @abc.abstractmethod
    def constants(self) -> dict[str, Cost | Sram]:
        """Every constant, by name."""

    @abc.abstractmethod
    def synapses_pj(self, layer: SynapseLayer) -> float | None:
        """pJ per sample, None where the table says nothing about such weights."""

    @abc.abstractmethod
    def neurons_pj(self, layer: NeuronLayer) -> float:
        """pJ per sample; 0 where the table leaves neurons out."""


def _check_name(name: str) -> None:
    if not name.isidentifier():
        raise SpikeletError(f"the name of an energy table must be an identifier, got {name!r}.")


@dataclasses.dataclass(frozen=True)
class FloatOperations(EnergyTable):
    """One price for a MAC, one for an accumulate."""

    name: str
    mac: Cost
    ac: Cost

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.mac.pj <= self.ac.pj:
            raise SpikeletError(
                f"{self.name}: a MAC costs more than its addition, got {self.mac.pj} <= {self.ac.pj} pJ."
            )

    def constants(self) -> dict[str, Cost | Sram]:
        return {"mac": self.mac, "ac": self.ac}

    def synapses_pj(self, layer: SynapseLayer) -> float:
        return layer.paper_macs * self.mac.pj + layer.paper_sops * self.ac.pj

    def neurons_pj(self, layer: NeuronLayer) -> float:
        return 0.0


@dataclasses.dataclass(frozen=True)
class IntegerOperations(EnergyTable):
    """Additions at accumulator width, multiplications at the width of the factors."""

    name: str
    add: Cost
    multiply_int8: Cost
    multiply_int32: Cost

    def __post_init__(self) -> None:
        _check_name(self.name)
        if not self.add.pj < self.multiply_int8.pj < self.multiply_int32.pj:
            raise SpikeletError(
                f"{self.name}: costs must rise from add to multiply_int8 to multiply_int32, "
                f"got {self.add.pj}, {self.multiply_int8.pj}, {self.multiply_int32.pj} pJ."
            )

    def constants(self) -> dict[str, Cost | Sram]:
        return {"add": self.add, "multiply_int8": self.multiply_int8, "multiply_int32": self.multiply_int32}

    def synapses_pj(self, layer: SynapseLayer) -> float | None:
        if layer.has_float_weights:
            return None
        return layer.paper_sops * self.add.pj + layer.paper_macs * (self.add.pj + self._product_pj(layer))

    def _product_pj(self, layer: SynapseLayer) -> float:
        if min(layer.weight_bits, layer.input_bits) == 1:
            return 0.0
        return (self.multiply_int8 if layer.input_bits <= 8 else self.multiply_int32).pj

    def neurons_pj(self, layer: NeuronLayer) -> float:
        return 0.0


@dataclasses.dataclass(frozen=True)
class OperationsAndMemory(EnergyTable):
    """Operations, addressing and memory. See the module's equations."""

    name: str
    add: Cost
    multiply: Cost
    sram: Sram

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.multiply.pj <= self.add.pj:
            raise SpikeletError(
                f"{self.name}: a multiplication costs more than an addition, got {self.multiply.pj} pJ."
            )

    def constants(self) -> dict[str, Cost | Sram]:
        return {"add": self.add, "multiply": self.multiply, "sram": self.sram}

    def synapses_pj(self, layer: SynapseLayer) -> float | None:
        if layer.has_float_weights:
            return None
        return self._events_pj(layer) if layer.spiking_input else self._dense_pj(layer)

    def _events_pj(self, layer: SynapseLayer) -> float:
        additions, spikes = layer.neurobench.effective_acs, layer.input_events
        addressing = additions * self.add.pj
        if layer.kind == "conv":
            addressing += 2 * spikes * (self.multiply.pj + self.add.pj)
        accumulator = self._values_pj(math.prod(layer.out_shape), ACCUMULATOR_BITS)
        memory = spikes * self._address_pj(math.prod(layer.in_shape))
        memory += additions * (self._weight_pj(layer) + 2 * accumulator)
        return additions * self.add.pj + addressing + memory

    def _dense_pj(self, layer: SynapseLayer) -> float:
        n_in, n_out = math.prod(layer.in_shape), math.prod(layer.out_shape)
        product = 0.0 if min(layer.weight_bits, layer.input_bits) == 1 else self.multiply.pj
        taps = layer.out_shape[0] * math.prod(layer.kernel)
        addresses, reads = {
            "conv": (n_in + n_out + taps, layer.macs_per_step),
            "linear": (n_in * n_out, n_in),
            "product": (layer.macs_per_step, layer.macs_per_step),
        }[layer.kind]
        return layer.steps * (
            layer.macs_per_step * (product + self.add.pj + self._weight_pj(layer))
            + addresses * self.add.pj
            + reads * self._values_pj(n_in, layer.input_bits)
            + n_out * self._values_pj(n_out, ACCUMULATOR_BITS)
        )

    def neurons_pj(self, layer: NeuronLayer) -> float:
        updates = layer.neurons * layer.time_steps
        leak = self.multiply.pj + self.add.pj if layer.leaky else 0.0
        current = self._values_pj(layer.neurons, ACCUMULATOR_BITS)
        membrane = self._values_pj(layer.neurons, layer.membrane_bits)
        return updates * (leak + self.add.pj + current + 2 * membrane) + layer.spikes * (
            self.add.pj + self._address_pj(layer.neurons)
        )

    def _weight_pj(self, layer: SynapseLayer) -> float:
        return self._values_pj(layer.weights, layer.weight_bits)

    def _values_pj(self, values: int, bits: int) -> float:
        return self.sram.access_pj(bits, values * bits / 8)

    def _address_pj(self, values: int) -> float:
        return self._values_pj(values, max((values - 1).bit_length(), 1))


def _cost(pj: float, what: str) -> Cost:
    return Cost(pj, f"{what}, {HOROWITZ}")


HOROWITZ_FP32 = FloatOperations(
    "horowitz_fp32", mac=_cost(4.6, "fp32 multiplication 3.7 and addition 0.9"), ac=_cost(0.9, "fp32 addition")
)
HOROWITZ_INT = IntegerOperations(
    "horowitz_int",
    add=_cost(0.1, "int32 addition"),
    multiply_int8=_cost(0.2, "int8 multiplication"),
    multiply_int32=_cost(3.1, "int32 multiplication"),
)
LEMAIRE = OperationsAndMemory(
    "lemaire",
    add=_cost(0.1, "int32 addition"),
    multiply=_cost(3.1, "int32 multiplication"),
    sram=Sram(((8 * 1024, 10.0), (32 * 1024, 20.0), (1024 * 1024, 100.0)), f"64-bit SRAM access, {HOROWITZ}"),
)
TABLES: tuple[EnergyTable, ...] = (HOROWITZ_FP32, HOROWITZ_INT, LEMAIRE)
