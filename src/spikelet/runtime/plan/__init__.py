"""From an integer graph to the operations that the C library runs, as data: no address, no ctypes, no library."""

from spikelet.runtime.plan.carried import Carried as Carried
from spikelet.runtime.plan.choices import checked as checked
from spikelet.runtime.plan.constants import Packed as Packed
from spikelet.runtime.plan.make import first_result as first_result
from spikelet.runtime.plan.make import make_plan as make_plan
from spikelet.runtime.plan.make import plan_of as plan_of
from spikelet.runtime.plan.plan import Plan as Plan
from spikelet.runtime.plan.plan import Result as Result
from spikelet.runtime.plan.plan import Wanted as Wanted
from spikelet.runtime.plan.planner import OwnCall as OwnCall
from spikelet.runtime.plan.planner import Subject as Subject
from spikelet.runtime.plan.saved import load_plan as load_plan
from spikelet.runtime.plan.saved import save_plan as save_plan
