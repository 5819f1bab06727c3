"""The native runtime: an integer graph as a program in portable C."""

from spikelet.base.errors import RuntimeUnavailable as RuntimeUnavailable
from spikelet.runtime.library import kernel_sets as kernel_sets
from spikelet.runtime.plan import Plan as Plan
from spikelet.runtime.plan import load_plan as load_plan
from spikelet.runtime.plan import plan_of as plan_of
from spikelet.runtime.plan import save_plan as save_plan
from spikelet.runtime.program import Program as Program
from spikelet.runtime.program import Stream as Stream
from spikelet.runtime.state import StreamState as StreamState
from spikelet.runtime.tune import Tuning as Tuning
from spikelet.runtime.tune import tune as tune
