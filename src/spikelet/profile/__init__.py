"""What a network costs: bytes, operations by every convention, energy by every named table."""

from spikelet.profile.energy import HOROWITZ_FP32 as HOROWITZ_FP32
from spikelet.profile.energy import HOROWITZ_INT as HOROWITZ_INT
from spikelet.profile.energy import LEMAIRE as LEMAIRE
from spikelet.profile.energy import TABLES as TABLES
from spikelet.profile.energy import EnergyTable as EnergyTable
from spikelet.profile.graph import profile_graph as profile_graph
from spikelet.profile.model import profile as profile
from spikelet.profile.qpsnn import qpsnn_megabytes as qpsnn_megabytes
from spikelet.profile.qpsnn import qpsnn_millijoules as qpsnn_millijoules
from spikelet.profile.qpsnn import qpsnn_millijoules_of as qpsnn_millijoules_of
from spikelet.profile.report import Report as Report
from spikelet.profile.size import architecture_of as architecture_of
from spikelet.profile.size import paper_megabytes as paper_megabytes
from spikelet.profile.size import state_megabytes as state_megabytes
from spikelet.profile.table import Table as Table
