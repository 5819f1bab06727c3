"""A graph as source text for devices without Python: a C99 project of its own."""

from spikelet.export.c.project import to_c as to_c
from spikelet.export.c.report import Report as Report
from spikelet.export.c.sound import front_end_of as front_end_of

__all__ = ["Report", "front_end_of", "to_c"]
