"""A loop over time with a norm of its own at every step, `self.norms[t](x)`: batch normalization through time."""

from __future__ import annotations

from torch import Tensor, nn

from spikelet.interop.lockstep import Call, Lockstep
from spikelet.interop.steps import Steps
from spikelet.nn.norm_through_time import NormThroughTime


class OwnNorms(Lockstep):
    """One run of such a loop: norm t, which reads step t of a sequence, is done with all others to all steps.

    Args:
        time_steps: T.
        net: holds the norms, in lists of T.
    """

    def __init__(self, time_steps: int, net: nn.Module) -> None:
        super().__init__(time_steps)
        lists = [module for module in net.modules() if isinstance(module, NormThroughTime)]
        self.steps = {norm: (norms, t) for norms in lists for t, norm in enumerate(norms)}

    def _layer(self, unit: nn.Module, call: Call, x: Tensor) -> Tensor:
        place = self._place(x)
        norms, t = self.steps.get(unit, (None, None))
        if norms is None or place is None or place[1] not in (None, t):
            return super()._layer(unit, call, x)
        sequence, _ = place
        if (norms, id(sequence)) not in self.made:
            self.made[norms, id(sequence)] = Steps(whole=self._whole(norms, sequence.whole), still=False)
            self.kept.append(sequence)
        return self._step_of(self.made[norms, id(sequence)], t)
