"""spikelet: train, compress and deploy spiking networks; what you evaluate is what you deploy.

    model = spikelet.create_model("qsnn_vgg_s", num_classes=10, time_steps=2, weight_bits=1, membrane_bits=2)
    graph = spikelet.lower(model, example)            # integers only
    spikelet.verify(graph, model, batches)            # spikes and logits that differ from PyTorch: 0
    spikelet.save(graph, "model.safetensors")         # as small as the arithmetic says
    logits = spikelet.Program(spikelet.load("model.safetensors"))(images)

`spikelet.load` also takes the name of a model that ships with the package (`spikelet.zoo.names()`).

Each name is imported when it is first used: `import spikelet` loads nothing, and loading and running a model never
loads torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikelet.base.errors import LoweringError as LoweringError
    from spikelet.base.errors import SpikeletError as SpikeletError
    from spikelet.compression import compress as compress
    from spikelet.conversion import convert as convert
    from spikelet.fitting import Budget as Budget
    from spikelet.fitting import fit as fit
    from spikelet.graph.file.artifact import save as save
    from spikelet.graph.ir import IntGraph as IntGraph
    from spikelet.graph.reference import Reference as Reference
    from spikelet.interop import from_snntorch as from_snntorch
    from spikelet.interop import from_spikingjelly as from_spikingjelly
    from spikelet.lowering import check as check
    from spikelet.lowering import lower as lower
    from spikelet.lowering import verify as verify
    from spikelet.models import list_models as list_models
    from spikelet.models import register_model as register_model
    from spikelet.neurons import LIF as LIF
    from spikelet.neurons import LIFParams as LIFParams
    from spikelet.profiling import profile as profile
    from spikelet.runtime import Program as Program
    from spikelet.train.pretrained import create_model as create_model
    from spikelet.train.pretrained import from_pretrained as from_pretrained
    from spikelet.train.pretrained import push_to_hub as push_to_hub
    from spikelet.train.pretrained import save_pretrained as save_pretrained
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
    "SpikeletError",
    "check",
    "compress",
    "convert",
    "create_model",
    "fit",
    "from_pretrained",
    "from_snntorch",
    "from_spikingjelly",
    "list_models",
    "load",
    "lower",
    "profile",
    "push_to_hub",
    "register_model",
    "save",
    "save_pretrained",
    "verify",
]

_HOMES = {
    "LIF": "neurons",
    "Budget": "fitting",
    "IntGraph": "graph.ir",
    "LIFParams": "neurons",
    "LoweringError": "base.errors",
    "Program": "runtime",
    "Reference": "graph.reference",
    "SpikeletError": "base.errors",
    "check": "lowering",
    "compress": "compression",
    "convert": "conversion",
    "create_model": "train.pretrained",
    "fit": "fitting",
    "from_pretrained": "train.pretrained",
    "from_snntorch": "interop",
    "from_spikingjelly": "interop",
    "list_models": "models",
    "load": "zoo",
    "lower": "lowering",
    "profile": "profiling",
    "push_to_hub": "train.pretrained",
    "register_model": "models",
    "save": "graph.file.artifact",
    "save_pretrained": "train.pretrained",
    "verify": "lowering",
}
_FOLDERS = (
    "base", "cli", "compression", "conversion", "data", "export", "fitting", "graph", "interop", "lowering",
    "models", "neurons", "nn", "plot", "profiling", "quant", "recipes", "runtime", "train", "zoo",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    """The public name or folder `name`, imported now (PEP 562)."""
    if name in _FOLDERS:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_FOLDERS})
