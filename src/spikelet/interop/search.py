"""The first pass that looks for neurons in a network's code, in each way in which a loop may take its steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.interop.code_record import CodeRecord
from spikelet.interop.lockstep import Call
from spikelet.interop.loop_with_neurons import LoopWithNeurons
from spikelet.interop.neurons_in_code import find, in_code_of
from spikelet.interop.ways import OwnLoop, Way
from spikelet.interop.weights_in_code import WeightsInCode


class RecordedLoop(LoopWithNeurons):
    """A loop that goes on where modules read what the code makes of its states, which no module stands for yet.

    They go on with the current that their first step's code gives, whose shape is the same. Its numbers are read by
    nobody: the search looks for the code's own neurons, and what it finds runs anew.
    """

    def _neuron(self, unit: nn.Module, call: Call, x: Tensor, state: list[Any]) -> Any:
        ran = self.ran.get(unit)
        if ran is not None and ran.taken < self.time_steps and self._place(x) is None:
            x = self._step_of(ran.reads, ran.taken)
        return super()._neuron(unit, call, x, state)


class Recorded(OwnLoop):
    """The network's own loop, with a record of its calls."""

    def loop(self, net: nn.Module) -> LoopWithNeurons:
        """See OwnLoop."""
        self.ran = RecordedLoop(self.time_steps, self.cut, in_code_of(net), CodeRecord())
        return self.ran


@torch.no_grad()
def search(net: nn.Module, ways: tuple[Any, ...], run: Callable[[Way], Tensor]) -> None:
    """Looks for neurons in the code of a network, which may have modules of neurons too.

    Args:
        net: the network, or a copy of it.
        ways: arguments of OwnLoop, one tuple a way.
        run: runs it in such a way.
    Raises:
        NeuronsFound: the first ones that have no module yet.
        ConversionError: there are some without a counterpart.
    """
    known = in_code_of(net)
    refusals: list[ConversionError] = []
    for told in ways:
        way = Recorded(*told)
        if known and way.cut != next(iter(known.values())).cut:
            continue
        try:
            run(way)
        except WeightsInCode:
            raise
        except (ConversionError, RuntimeError, TypeError, ValueError, AttributeError, IndexError):
            continue  # it does not run so
        record = way.ran.record
        assert record is not None, "Recorded gave it one"
        refused = find(record, way.ran, list(known.values()), way.cut)
        if refused is not None:
            refusals.append(refused)
    if refusals:
        raise refusals[0]
