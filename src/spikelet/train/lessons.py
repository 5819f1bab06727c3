"""What a network may learn from a teacher, besides the labels: each lesson is one term of the loss.

    SoftLogits(w, tau)    w tau^2 KL(softmax(z_teacher / tau) || softmax(z / tau))     Hinton et al., arXiv:1503.02531
    HardLogits(w)         w CE(z, argmax z_teacher)                                     DeiT, arXiv:2012.12877
    GramMatrices(w)       w L, L of gram.py                                             QSD-Transformer

z are logits, averaged over time, of the network, or of one of its modules: `head="heads.1"` teaches one head of two.
A lesson of logits takes its share w from the labels, which keep 1 - sum w. One of features is added.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.base.numbers import make_plain, positive
from spikelet.base.strict_json import shown
from spikelet.nn import Reversible
from spikelet.train.features import require_names
from spikelet.train.gram import TokenFeature, gram_loss, paired
from spikelet.train.losses import mean_over_time
from spikelet.train.settings import Teacher

OUTPUT = ""  # the name of a network's own output among what it gave

Seen = Mapping[str, Tensor]
"""What modules gave, by their names; `OUTPUT` is the network's logits."""


class Lesson(abc.ABC):
    """One term of the loss."""

    @property
    @abc.abstractmethod
    def share(self) -> float:
        """What the labels' loss leaves to it, in 0..1."""

    def meet(self, network: nn.Module, teacher: nn.Module) -> Lesson:
        """This lesson for these two. Raises SpikeletError where one lacks what the lesson is about."""
        return self

    @property
    def of_network(self) -> Sequence[str]:
        """Names of the network's modules that it reads."""
        return ()

    @property
    def of_teacher(self) -> Sequence[str]:
        """Names of the teacher's modules that it reads."""
        return ()

    @abc.abstractmethod
    def loss(self, network: Seen, teacher: Seen) -> Tensor:
        """The term, weighted."""


def divergence(logits_BK: Tensor, teacher_BK: Tensor, temperature: float) -> Tensor:
    """tau^2 KL(teacher || student) of both at temperature tau, the mean over the batch; tau^2 keeps the gradient's size
    whatever tau is."""
    student = F.log_softmax(logits_BK / temperature, dim=-1)
    teacher = F.log_softmax(teacher_BK / temperature, dim=-1)
    return temperature**2 * F.kl_div(student, teacher, reduction="batchmean", log_target=True)


@dataclasses.dataclass(frozen=True)
class _Logits(Lesson):
    weight: float = 0.9
    head: str = OUTPUT

    def __post_init__(self) -> None:
        make_plain(self)
        owner = type(self).__name__
        if type(self.weight) not in (int, float) or not 0 < self.weight <= 1:
            raise SpikeletError(f"{owner}.weight must lie in (0, 1], got {shown(self.weight)}.")
        if not isinstance(self.head, str):
            raise SpikeletError(f"{owner}.head must be the name of a module, got {shown(self.head)}.")

    @property
    def share(self) -> float:
        return self.weight

    def meet(self, network: nn.Module, teacher: nn.Module) -> Lesson:
        require_names(network, self.of_network, f"{type(self).__name__}.head")
        return self

    @property
    def of_network(self) -> Sequence[str]:
        return (self.head,) if self.head else ()

    def _both(self, network: Seen, teacher: Seen) -> tuple[Tensor, Tensor]:
        own, told = mean_over_time(network[self.head]), teacher[OUTPUT]
        if told.shape != own.shape:
            raise SpikeletError(
                f"the teacher gives logits of shape {tuple(told.shape)}, and the network of {tuple(own.shape)}. A "
                "teacher must tell the same classes apart."
            )
        return own, told


@dataclasses.dataclass(frozen=True)
class SoftLogits(_Logits):
    """The teacher's distribution. See the module's equations.

    Args:
        weight: w, in (0, 1].
        head: the module whose logits learn; the network's own by default.
        temperature: tau, above 0.
    Raises:
        SpikeletError: a setting is out of range.
    """

    temperature: float = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        positive("SoftLogits", temperature=self.temperature)

    def loss(self, network: Seen, teacher: Seen) -> Tensor:
        return self.weight * divergence(*self._both(network, teacher), self.temperature)


@dataclasses.dataclass(frozen=True)
class HardLogits(_Logits):
    """The teacher's most likely class, as if it were the label. See the module's equations.

    Args:
        weight: w, in (0, 1].
        head: the module whose logits learn; the network's own by default.
    Raises:
        SpikeletError: a setting is out of range.
    """

    weight: float = 0.5

    def loss(self, network: Seen, teacher: Seen) -> Tensor:
        own, told = self._both(network, teacher)
        return self.weight * F.cross_entropy(own, told.argmax(1))


@dataclasses.dataclass(frozen=True)
class GramMatrices(Lesson):
    """How alike tokens are to each other. See gram.py.

    Args:
        weight: lambda, above 0.
        pairs: features of the network and of the teacher; () for q, k and v of every `SelfAttention`.
    Raises:
        SpikeletError: a weight that is not above 0, or pairs of something else.
    """

    weight: float = 1.0
    pairs: tuple[tuple[TokenFeature, TokenFeature], ...] = ()

    def __post_init__(self) -> None:
        make_plain(self)
        positive("GramMatrices", weight=self.weight)
        object.__setattr__(self, "pairs", tuple(tuple(pair) for pair in self.pairs))
        if any(len(pair) != 2 or not all(isinstance(f, TokenFeature) for f in pair) for pair in self.pairs):
            raise SpikeletError(
                "GramMatrices.pairs must be pairs (TokenFeature, TokenFeature) of the network and the teacher, got "
                f"{shown(self.pairs)}."
            )

    @property
    def share(self) -> float:
        return 0.0

    def meet(self, network: nn.Module, teacher: nn.Module) -> GramMatrices:
        met = self if self.pairs else dataclasses.replace(self, pairs=tuple(paired(network, teacher)))
        require_names(network, met.of_network, "GramMatrices.pairs")
        require_names(teacher, met.of_teacher, "GramMatrices.pairs")
        for name in met.of_network:
            if _is_recomputed(network, name):
                raise SpikeletError(_without_gradient(name))
        return met

    @property
    def of_network(self) -> Sequence[str]:
        return [own.module for own, _ in self.pairs]

    @property
    def of_teacher(self) -> Sequence[str]:
        return [other.module for _, other in self.pairs]

    def loss(self, network: Seen, teacher: Seen) -> Tensor:
        terms = []
        for own, other in self.pairs:
            mine = network[own.module]
            if torch.is_grad_enabled() and not mine.requires_grad:
                raise SpikeletError(_without_gradient(own.module))
            terms.append(gram_loss(mine, teacher[other.module], own, other))
        return self.weight * torch.stack(terms).mean()


def _is_recomputed(network: nn.Module, name: str) -> bool:
    """Whether the module stands in blocks whose activations training does not keep."""
    parts = name.split(".")
    around = (network.get_submodule(".".join(parts[:k])) for k in range(len(parts)))
    return any(isinstance(module, Reversible) and module.recompute for module in around)


def _without_gradient(name: str) -> str:
    return (
        f"the feature {name} carries no gradient. Inside of spikelet.nn.Reversible features are there with "
        "recompute=False only; a frozen layer's can't learn."
    )


def lessons_of(teacher: Teacher) -> list[Lesson]:
    """The lessons that a configuration's teacher gives."""
    match teacher.logits:
        case "soft":
            lessons: list[Lesson] = [SoftLogits(teacher.weight, teacher.head, teacher.temperature)]
        case "hard":
            lessons = [HardLogits(teacher.weight, teacher.head)]
        case _:
            lessons = []
    return [*lessons, GramMatrices(teacher.gram)] if teacher.gram else lessons
