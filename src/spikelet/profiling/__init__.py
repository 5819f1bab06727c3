"""What a network costs: bytes, operations by every convention, energy by every named table."""

from spikelet.base import torch_needed as torch_needed
from spikelet.base.table import Table as Table
from spikelet.profiling.energy import HOROWITZ_FP32 as HOROWITZ_FP32
from spikelet.profiling.energy import HOROWITZ_INT as HOROWITZ_INT
from spikelet.profiling.energy import LEMAIRE as LEMAIRE
from spikelet.profiling.energy import TABLES as TABLES
from spikelet.profiling.energy import EnergyTable as EnergyTable
from spikelet.profiling.graph import profile_graph as profile_graph
from spikelet.profiling.model import profile as profile
from spikelet.profiling.qpsnn import qpsnn_megabytes as qpsnn_megabytes
from spikelet.profiling.qpsnn import qpsnn_millijoules as qpsnn_millijoules
from spikelet.profiling.qpsnn import qpsnn_millijoules_of as qpsnn_millijoules_of
from spikelet.profiling.report import Report as Report
from spikelet.profiling.size import architecture_of as architecture_of
from spikelet.profiling.size import paper_megabytes as paper_megabytes
from spikelet.profiling.size import state_megabytes as state_megabytes
