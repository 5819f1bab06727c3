"""The one table of the C exporter: what becomes of a node of each class."""

from __future__ import annotations

from collections.abc import Mapping

from spikelet.export.c import arithmetic, moves, neurons, pools, synapses
from spikelet.export.c.stage import Rule
from spikelet.graph import ir
from spikelet.graph.backend import BackendRules

TABLE: Mapping[type[ir.Operation], Rule | str] = {
    ir.Input: moves.load,
    ir.Conv: synapses.conv,
    ir.Linear: synapses.linear,
    ir.Affine: arithmetic.affine,
    ir.Add: arithmetic.add,
    ir.Lif: neurons.lif,
    ir.MaxPool: pools.max_pool,
    ir.SumPool: pools.sum_pool,
    ir.Flatten: moves.flatten,
    ir.SumTime: neurons.sum_time,
    ir.ChannelMap: moves.channel_map,
    ir.Matmul: synapses.matmul,
    ir.Mul: arithmetic.mul,
    ir.Constant: moves.load,
    ir.Gather: moves.gather,
    ir.Delay: moves.load,
    ir.Charge: neurons.charge,
}

RULES: BackendRules[Rule] = BackendRules("C", TABLE)
