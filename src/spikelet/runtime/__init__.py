"""The native runtime: an integer graph as a program in portable C."""

from spikelet.base.errors import RuntimeUnavailable as RuntimeUnavailable
from spikelet.runtime.library import kernel_sets as kernel_sets
from spikelet.runtime.program import Program as Program
from spikelet.runtime.program import Stream as Stream
from spikelet.runtime.state import StreamState as StreamState
