"""A graph as source text for devices without Python: a C99 project, and what it takes on a device."""

from spikelet.export.c.project import to_c as to_c
from spikelet.export.c.report import Report as Report
from spikelet.export.emulation.counted import Counted as Counted
from spikelet.export.emulation.counting import count as count
from spikelet.graph.trained_on import front_end_of as front_end_of

__all__ = ["Counted", "Report", "count", "front_end_of", "to_c"]
