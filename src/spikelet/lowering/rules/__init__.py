"""The rules of spikelet's own layers and of torch's tensor functions, by family. Importing a family registers it."""

from spikelet.lowering.rules import clips as clips
from spikelet.lowering.rules import dense as dense
from spikelet.lowering.rules import elementwise as elementwise
from spikelet.lowering.rules import moves as moves
from spikelet.lowering.rules import neurons as neurons
from spikelet.lowering.rules import norms as norms
from spikelet.lowering.rules import partial as partial
from spikelet.lowering.rules import pools as pools
from spikelet.lowering.rules import products as products
from spikelet.lowering.rules import recurrent as recurrent
from spikelet.lowering.rules import refusals as refusals
from spikelet.lowering.rules import streams as streams
from spikelet.lowering.rules import sums as sums
from spikelet.lowering.rules import synapses as synapses
from spikelet.lowering.rules import truth as truth
from spikelet.lowering.rules import upsampling as upsampling
