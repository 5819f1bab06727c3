"""Neurons, operations of attention, and energy by the conventions of EST and the Masked Spiking Transformer
(arXiv:2210.01208).

    neurons     of one sample: in attention 3NC of q, k, v, one for every score, 2NC behind the mix and the projection;
                in perceptrons; elsewhere. The released Swin-T has 9.34 M, 7.15 M and 3.42 M at 224 x 224.
    operations  multiply-accumulates of one step, h M^2 N d' for q k^T in windows of M^2 tokens, as many of them as the
                partial information leaves
    mJ          ( 4.6 pJ * MACs of the first convolution  +  0.9 pJ * sum of spikes * MACs ) / 10^9

The share of attention's operations that a ratio p saves depends on what is counted. v1 says 49.8 %, without the rule.
`SAVED` has four; with Swin-T's shares (1.040, 0.070, 0.070 and 0.347 GMAC of 1.527) they give, at p = 0.5 and 0.75:

    products    q k^T and A v alone, each 1 - p                               50 %     75 %
    masked      those, of the whole module                                    4.6 %    6.9 %
    inputs      those and the projections to q, k and v, of the module        38.6 %   58.0 %
    module      everything in the module                                      50 %     75 %

The first is what a fixed subset of tokens or heads saves as it runs. The others state what masks would save if hardware
skipped every masked element; they are bounds, not measurements. The energy is that of Yao et al. (qsd.py), with a count
of n as n spikes; the papers price neither memory nor neurons, so it stands beside published bounds below which a
spiking network can be cheaper than the network without spikes at all:

    0.15 to 1.38 spikes per synapse and inference    Dampfhoffer et al., 2023, doi:10.1109/TETCI.2022.3214509
    5.7 % mean spike rate at T = 5                   Yan et al., arXiv:2409.08290v4, memory and data movement included
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.models.est import WindowAttention
from spikelet.neurons import Neuron
from spikelet.nn.hooks import hooks
from spikelet.profiling.papers.qsd import qsd_millijoules_of
from spikelet.profiling.papers.units import millijoules
from spikelet.profiling.report import Report

RELEASED_NEURONS = {"attention": 9.34e6, "perceptrons": 7.15e6, "elsewhere": 3.42e6}
SPIKES_PER_SYNAPSE = (0.15, 1.38)
SPIKE_RATE_AT_5_STEPS = 0.057


def est_neurons(model: nn.Module, sample: tuple[int, ...]) -> dict[str, int]:
    """Neurons of one sample, by where they stand: "attention", "perceptrons" and "elsewhere".

    Args:
        model: of the EST family.
        sample: the shape of an image, (C, H, W).
    """
    found = dict.fromkeys(RELEASED_NEURONS, 0)
    shapes = copy.deepcopy(model).to("meta").train()
    names = {module: name for name, module in shapes.named_modules()}

    def count(neuron: nn.Module, inputs: object, spikes: Tensor) -> None:
        name = names[neuron]
        place = "attention" if ".attention." in name else "perceptrons" if is_hidden(name) else "elsewhere"
        found[place] += math.prod(spikes.shape[2:])

    def is_hidden(name: str) -> bool:
        return ".mlp." in name and ".mlp.0" not in name

    with hooks(m.register_forward_hook(count) for m in shapes.modules() if isinstance(m, Neuron)):
        shapes(torch.empty((1, *sample), dtype=torch.uint8, device="meta"))
    return found


@dataclasses.dataclass(frozen=True)
class AttentionOperations:
    """Multiply-accumulates of all attentions of a network, of one sample at one step."""

    projections: int
    scores: int
    mix: int
    output: int

    @property
    def products(self) -> int:
        """q k^T and A v."""
        return self.scores + self.mix

    @property
    def total(self) -> int:
        """The whole modules."""
        return self.projections + self.products + self.output


def attention_operations(model: nn.Module, *, whole: bool = False) -> AttentionOperations:
    """The operations of the attentions of an EST.

    Args:
        whole: as if nothing were left out.
    Raises:
        SpikeletError: the model has no attention of this family.
    """
    attentions = [m for m in model.modules() if isinstance(m, WindowAttention)]
    if not attentions:
        raise SpikeletError("model must have an attention in windows, such as est_cifar's, got none.")
    parts = [_operations(attention, whole) for attention in attentions]
    return AttentionOperations(*(sum(column) for column in zip(*parts, strict=True)))


def _operations(attention: WindowAttention, whole: bool) -> tuple[int, int, int, int]:
    place, heads = attention.place, attention.heads
    parts = (attention.query, attention.key, attention.value, attention.project)
    *projections, output = (part.get_parameter("0.weight").shape for part in parts)
    kept = heads, projections[1][0] // heads, place.tokens
    if not whole:
        kept = attention.partial.kept(*kept)
    pairs = kept[0] * place.windows * place.tokens * kept[2]
    each, width = place.side**2, projections[2][0] // heads
    return each * sum(map(math.prod, projections)), pairs * kept[1], pairs * width, each * math.prod(output)


SAVED: dict[str, Callable[[AttentionOperations, float], float]] = {
    "products": lambda whole, p: p,
    "masked": lambda whole, p: p * whole.products / whole.total,
    "inputs": lambda whole, p: p * (whole.products + whole.projections) / whole.total,
    "module": lambda whole, p: p,
}
"""The share that a ratio saves under each rule, from the operations without partial information."""


@dataclasses.dataclass(frozen=True)
class Energy:
    """A profiled network's energy by the papers' formula, and its spikes beside the published bounds.

    millijoules: of one sample.
    dense_millijoules: of the network of equal shape that multiplies everywhere.
    spikes_per_synapse: mean over all synapses that carry counts, in one inference.
    steps: T.
    """

    millijoules: float
    dense_millijoules: float
    spikes_per_synapse: float
    steps: int

    @property
    def spike_rate(self) -> float:
        """Spikes per synapse and step."""
        return self.spikes_per_synapse / self.steps

    def __str__(self) -> str:
        low, high = SPIKES_PER_SYNAPSE
        n = self.spikes_per_synapse
        verdict = "below" if n < low else "within" if n <= high else "above"
        return (
            f"{self.millijoules:.4g} mJ by the papers' formula ({self.dense_millijoules:.4g} mJ without spikes); "
            f"{n:.3g} spikes per synapse and inference, {verdict} the break-even bounds of {low} to {high}; "
            f"mean rate {100 * self.spike_rate:.3g} %, break-even {100 * SPIKE_RATE_AT_5_STEPS:.3g} % at T = 5"
        )


def est_energy_of(report: Report, steps: int | None = None) -> Energy:
    """The energy of a network that was profiled.

    Args:
        steps: the time steps that its spikes stand for, such as the L of counts 0..L; the network's own unless given.
    Raises:
        SpikeletError: no layer of the report carries spikes or counts.
    """
    carrying = [layer for layer in report.synapses if layer.unrolled_sops is not None]
    if not carrying:
        raise SpikeletError("report must have a layer that carries spikes or counts, got none.")
    spikes = sum(layer.unrolled_sops or 0.0 for layer in carrying)
    return Energy(
        millijoules=qsd_millijoules_of(report),
        dense_millijoules=millijoules(accumulates=0.0, macs=sum(layer.macs_per_step for layer in report.synapses)),
        spikes_per_synapse=spikes / sum(layer.macs_per_step for layer in carrying),
        steps=steps or report.time_steps,
    )
