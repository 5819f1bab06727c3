"""The one table of the native runtime: what becomes of a node of each class. Any other runs by its own `advance`."""

from __future__ import annotations

from collections.abc import Mapping

from spikelet.graph import ir
from spikelet.graph.backend import BackendRules
from spikelet.runtime.plan import arithmetic, maps, matrices, over_time
from spikelet.runtime.plan.own_call import own_call
from spikelet.runtime.plan.planner import Rule

TABLE: Mapping[type[ir.Operation], Rule | str] = {
    ir.Input: maps.given,
    ir.Conv: arithmetic.conv,
    ir.Linear: arithmetic.linear,
    ir.Affine: arithmetic.affine,
    ir.Add: arithmetic.add,
    ir.Lif: over_time.lif,
    ir.MaxPool: maps.max_pool,
    ir.SumPool: maps.sum_pool,
    ir.Flatten: maps.flatten,
    ir.SumTime: over_time.sum_time,
    ir.ChannelMap: maps.channel_map,
    ir.Matmul: matrices.matmul,
    ir.Mul: arithmetic.multiply,
    ir.Constant: maps.constant,
    ir.Gather: maps.gather,
    ir.Delay: over_time.delay,
    ir.Charge: over_time.charge,
}

RULES: BackendRules[Rule] = BackendRules("the native runtime", TABLE, otherwise=own_call)
