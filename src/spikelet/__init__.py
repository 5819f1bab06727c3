"""spikelet: train, compress and deploy spiking networks; what you evaluate is what you deploy.

    model = spikelet.create_model("qsnn_vgg_s", num_classes=10, time_steps=2, weight_bits=1, membrane_bits=2)
    graph = spikelet.lower(model, example)      # integers only
    graph.save("model.safetensors")             # as small as the arithmetic says
    logits = spikelet.Program(spikelet.load("model.safetensors"))(images)

`spikelet.load` also takes the name of a model that ships with the package (`spikelet.zoo.names()`).
"""

from spikelet.compression import compress as compress
from spikelet.fitting import Budget as Budget
from spikelet.fitting import fit as fit
from spikelet.graph.ir import IntGraph as IntGraph
from spikelet.graph.reference import Reference as Reference
from spikelet.interop import from_snntorch as from_snntorch
from spikelet.interop import from_spikingjelly as from_spikingjelly
from spikelet.lowering import LoweringError as LoweringError
from spikelet.lowering import lower as lower
from spikelet.models import create_model as create_model
from spikelet.models import list_models as list_models
from spikelet.neurons import LIF as LIF
from spikelet.neurons import LIFParams as LIFParams
from spikelet.profiling import profile as profile
from spikelet.runtime import Program as Program
from spikelet.zoo import load as load

__version__ = "0.1.0"
__all__ = [
    "LIF",
    "Budget",
    "IntGraph",
    "LIFParams",
    "LoweringError",
    "Program",
    "Reference",
    "compress",
    "create_model",
    "fit",
    "from_snntorch",
    "from_spikingjelly",
    "list_models",
    "load",
    "lower",
    "profile",
]
