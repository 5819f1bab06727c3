"""What a network costs: bytes, operations by every convention, energy by every named table.

The profile of a graph needs no torch; that of a module, and what is computed from modules, is imported when used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from spikelet.base.table import Table as Table
from spikelet.profiling.energy import HOROWITZ_FP32 as HOROWITZ_FP32
from spikelet.profiling.energy import HOROWITZ_INT as HOROWITZ_INT
from spikelet.profiling.energy import LEMAIRE as LEMAIRE
from spikelet.profiling.energy import TABLES as TABLES
from spikelet.profiling.energy import EnergyTable as EnergyTable
from spikelet.profiling.graph import profile_graph as profile_graph
from spikelet.profiling.papers.qsnn import architecture_of as architecture_of
from spikelet.profiling.papers.qsnn import paper_megabytes as paper_megabytes
from spikelet.profiling.papers.qsnn import state_megabytes as state_megabytes
from spikelet.profiling.report import Report as Report

if TYPE_CHECKING:
    from spikelet.profiling.model import profile as profile
    from spikelet.profiling.papers.bestformer import bestformer_megabytes as bestformer_megabytes
    from spikelet.profiling.papers.bestformer import bestformer_ns_ace as bestformer_ns_ace
    from spikelet.profiling.papers.bestformer import bestformer_s_ace as bestformer_s_ace
    from spikelet.profiling.papers.est import attention_operations as attention_operations
    from spikelet.profiling.papers.est import est_energy_of as est_energy_of
    from spikelet.profiling.papers.est import est_neurons as est_neurons
    from spikelet.profiling.papers.qpsnn import qpsnn_megabytes as qpsnn_megabytes
    from spikelet.profiling.papers.qpsnn import qpsnn_millijoules as qpsnn_millijoules
    from spikelet.profiling.papers.qpsnn import qpsnn_millijoules_of as qpsnn_millijoules_of
    from spikelet.profiling.papers.qsd import qsd_folded_megabytes as qsd_folded_megabytes
    from spikelet.profiling.papers.qsd import qsd_megabytes as qsd_megabytes
    from spikelet.profiling.papers.qsd import qsd_millijoules_of as qsd_millijoules_of
    from spikelet.profiling.papers.qsd import qsd_parameters as qsd_parameters

_OF_MODULES = {
    "profile": "model",
    **dict.fromkeys(("bestformer_megabytes", "bestformer_ns_ace", "bestformer_s_ace"), "papers.bestformer"),
    **dict.fromkeys(("attention_operations", "est_energy_of", "est_neurons"), "papers.est"),
    **dict.fromkeys(("qpsnn_megabytes", "qpsnn_millijoules", "qpsnn_millijoules_of"), "papers.qpsnn"),
    **dict.fromkeys(("qsd_folded_megabytes", "qsd_megabytes", "qsd_millijoules_of", "qsd_parameters"), "papers.qsd"),
}


def __getattr__(name: str) -> Any:
    """A name that needs torch, imported now (PEP 562)."""
    if name not in _OF_MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    importlib.import_module("spikelet.base.torch_needed")
    value = getattr(importlib.import_module(f"{__name__}.{_OF_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_OF_MODULES})
