"""What a network has and integers have not, replaced by what they have; then it is trained again for a while.

    LayerNorm, RMSNorm, GroupNorm, InstanceNorm    a batch norm of the same channels                      norms.py
    softmax in attention, tanh                     levels                                                functions.py
    nn.MultiheadAttention, TransformerEncoderLayer their layers one by one                               multihead.py
    dropout                                        nothing
    currents that weights and products read        QCFS                                                   currents.py

Calls of functions are replaced as modules are (called.py), so a network's code stays as it is. Ordinary activations are
left for `calibrate`, before or after. Means and variances of batch norms and all thresholds come from the example; the
network that comes out is another one, and learns its task again with `finetune`.

    network, changes = repair(network, images)
    print(changes)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.conversion.copying import copied, require_batches
from spikelet.conversion.ordinary.called import Place, Substituted, substituted
from spikelet.conversion.ordinary.currents import Insertion
from spikelet.conversion.ordinary.find import outputs
from spikelet.conversion.ordinary.functions import Found, words_for
from spikelet.conversion.ordinary.multihead import FUSED_LAYERS, taken_apart
from spikelet.conversion.ordinary.norms import OVER_MAPS, OVER_TOKENS, TokenNorm, batch_norm_for
from spikelet.conversion.ordinary.report import Changes, Row
from spikelet.interop.swap import put
from spikelet.neurons import QCFS
from spikelet.nn.device import device_of
from spikelet.nn.evaluation import evaluation_mode
from spikelet.nn.hooks import hooks

NORMS = OVER_TOKENS + OVER_MAPS
DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
BatchNorm = (nn.BatchNorm1d, nn.BatchNorm2d)


class Repaired(NamedTuple):
    """The network that integers can follow, and what was changed."""

    network: nn.Module
    changes: Changes


def repair(model: nn.Module, example: Tensor, levels: int = 16) -> Repaired:
    """A copy of `model` without what integers have not, and what was changed. See the module's description.

    Args:
        model: any network. Not changed.
        example: a batch as it takes it, some hundred samples, from which statistics and thresholds come.
        levels: L of scores and currents, a power of two from 1 to 128.
    Raises:
        ConversionError: the network does not run on the example; a norm over several axes, or attention with a mask,
            which has no counterpart; names it.
        SpikeletError: levels is out of range.
    """
    QCFS(levels)  # checks them before any work
    (x,) = require_batches(model, [example], "example")
    if len(x) < 2:
        raise ConversionError("example must hold some hundred samples, got 1: variances are taken over them.")
    work = _Repair(copied(model), levels)
    old = list(work.model.modules())
    with evaluation_mode(work.model), torch.no_grad():
        outputs(work.model, x)
        work.take_apart()
        work.replace_dropouts()
        work.replace_norms(x)
        work.replace_functions(x)
        insertion = Insertion(work.whole, levels)
        whole = insertion(x)
    made: nn.Module = whole if whole.places else whole.net
    known = {id(m) for m in old}
    for module in made.modules():
        if id(module) not in known:
            module.training = model.training
    return Repaired(made, Changes((*work.rows, *insertion.rows)))


class _Repair:
    """One repair.

    Args:
        model: the network, which is changed.
        levels: L.

    Attributes:
        rows: what was changed.
    """

    def __init__(self, model: nn.Module, levels: int) -> None:
        self.model, self.levels = model, levels
        self.rows: list[Row] = []

    def take_apart(self) -> None:
        """The layers of torch's fused attention, one by one."""
        for cls in reversed(FUSED_LAYERS):  # the larger ones first, which take care of theirs
            for name, module in list(self.whole.net.named_modules()):
                if type(module) is cls:
                    self.model = put(self.model, module, taken_apart(module, name))
                    self.rows.append(Row(name, cls.__name__, "its layers, one by one"))

    def replace_dropouts(self) -> None:
        """Leaves dropout out."""
        found = [m for m in self.model.modules() if isinstance(m, DROPOUTS) and m.p > 0]
        for module in found:
            self.model = put(self.model, module, nn.Identity())
        if found:
            self.rows.append(Row(f"{len(found)} layers", type(found[0]).__name__, "left out"))

    def replace_norms(self, x: Tensor) -> None:
        """Batch norms in the place of others, with the statistics of `x`."""
        made: dict[int, tuple[str, nn.Module, nn.Module]] = {}

        def watch(name: str) -> Callable[[nn.Module, Any], None]:
            def see(module: nn.Module, args: Any) -> None:
                new = batch_norm_for(module, args[0], name).to(device_of(self.model))
                made.setdefault(id(module), (name, module, new))

            return see

        norms = [(name, m) for name, m in self.whole.net.named_modules() if type(m) in NORMS]
        with hooks(m.register_forward_pre_hook(watch(name)) for name, m in norms):
            outputs(self.model, x)
        for name, old, new in made.values():
            self.model = put(self.model, old, new)
            self.rows.append(Row(name, type(old).__name__, "BatchNorm of its channels"))
        _set_statistics(self.model, [new for _, _, new in made.values()], x)

    def replace_functions(self, x: Tensor) -> None:
        """Levels in the place of softmax and tanh, with thresholds for `x`."""
        found = Found(self.whole, self.levels, x)
        for where, new in found.new.items():
            was = where.function if isinstance(where, Place) else type(where).__name__
            self.rows.append(Row(found.name(where), was, words_for(new)))
            if isinstance(where, nn.Module):
                self.model = put(self.model, where, new.to(x.device))
        self.model = substituted(self.model, {p: m.to(x.device) for p, m in found.new.items() if isinstance(p, Place)})

    @property
    def whole(self) -> Substituted:
        """The network as one that may have stand-ins."""
        return self.model if isinstance(self.model, Substituted) else Substituted(self.model, {})


def _set_statistics(model: nn.Module, norms: list[nn.Module], x: Tensor) -> None:
    """Gives batch norms the means and variances that they see for `x`, one behind the other."""
    found = [n.norm if isinstance(n, TokenNorm) else n for n in norms]
    momenta = [n.momentum for n in found if isinstance(n, BatchNorm)]
    for norm in found:
        norm.train()
        norm.momentum = None  # type: ignore[assignment] # the mean of all batches, which are one
    outputs(model, x)
    for norm, momentum in zip(found, momenta, strict=True):
        norm.eval()
        norm.momentum = momentum  # type: ignore[assignment]
