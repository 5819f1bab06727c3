"""From a trained network to the smallest one within a budget: measure, search, try, train, prove.

1. Every single choice is measured (sensitivity.py), 2. the front of plans is searched on predictions (search.py),
3. a few plans along it within the budget are built and trained briefly, 4. the one that keeps most accuracy is trained
in full, 5. it is lowered and packed: bytes, operations and accuracy of the answer are those of the file.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from torch import Tensor, nn

from spikelet.base.errors import BudgetError, SpikeletError
from spikelet.base.numbers import instance, make_plain, seed, whole_numbers
from spikelet.base.time_axis import TimeAxis
from spikelet.compression.channels import Channels, find_channels, in_line
from spikelet.compression.criteria import SVS, Criterion, unit_scores
from spikelet.compression.passes import recalibrate
from spikelet.data.batches import batches
from spikelet.data.classes import class_names_of
from spikelet.data.samples import DataSplits
from spikelet.data.samples import Samples as DataSamples
from spikelet.fitting.budget import Budget
from spikelet.fitting.cost import Cost, CostModel
from spikelet.fitting.fitted import Fitted, Measured, Probe
from spikelet.fitting.plan import Plan, Subject, layer_of
from spikelet.fitting.progress import Watcher
from spikelet.fitting.search import Candidate, require_optuna, search
from spikelet.fitting.sensitivity import Choices, Samples, inputs_of, measure
from spikelet.graph import ir
from spikelet.graph.file.artifact import dumps
from spikelet.lowering import lower
from spikelet.lowering.lower import with_all_channels
from spikelet.nn import Conv1d, Conv2d, Linear
from spikelet.nn.device import device_of
from spikelet.nn.reversible import inverts
from spikelet.profiling import profile
from spikelet.profiling.packed import has_float_weights, weight_bits_of
from spikelet.train import DualRegulation, Training, evaluate, further, train_further
from spikelet.train.loop import Loop

BATCH = 128


@dataclasses.dataclass(frozen=True)
class Settings:
    """How long fit searches and trains.

    probes: plans that get a trial fine-tuning of `probe_epochs` epochs before one is chosen.
    epochs: training of the chosen plan.
    samples: training images that sensitivities and criteria see.
    """

    criterion: Criterion = dataclasses.field(default_factory=SVS)
    choices: Choices = dataclasses.field(default_factory=Choices)
    samples: int = 1024
    trials: int = 3000
    probes: int = 4
    probe_epochs: int = 1
    epochs: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        make_plain(self)
        for name in ("samples", "trials", "probes", "probe_epochs", "epochs"):
            whole_numbers("Settings", **{name: getattr(self, name)})
        seed("Settings", seed=self.seed)
        instance("Settings", Criterion, criterion=self.criterion)
        instance("Settings", Choices, choices=self.choices)


def subject_of(model: nn.Module, inputs: Sequence[Tensor], criterion: Criterion, time_axis: TimeAxis = None) -> Subject:
    """The model's channels, in the order in which they may leave.

    Raises:
        BudgetError: it has fewer than two layers with weights that a quantizer reaches.
        CompressionError: it can't be followed.
    """
    channels = find_channels(model, inputs[0], time_axis=time_axis)
    layers = _weighted(model, channels)
    if len(layers) < 2:
        raise BudgetError(
            f"fit needs a network of at least two spikelet.nn.Conv2d or Linear layers, got {len(layers)}. (Convert "
            "other libraries' networks with spikelet.from_spikingjelly or from_snntorch first.)"
        )
    scores = criterion.scores(model, channels, inputs)
    orders = {}
    for group in channels.groups:
        values = unit_scores(group, scores)
        if values is not None:
            orders[group.name] = in_line([(group, values)])
    return Subject(model, inputs[0], channels, orders, (layers[0], layers[-1]))


def usual_training(model: nn.Module) -> Training:
    """How a network is fine-tuned unless something is said.

    Raises:
        SpikeletError: model is no module.
    """
    instance("fit", nn.Module, model=model)
    return Training(regulation=DualRegulation(spike=0.0)) if inverts(model) else Training()


def _weighted(model: nn.Module, channels: Channels) -> list[str]:
    modules = dict(model.named_modules())
    return [name for name in channels.layers if isinstance(modules[name], Conv1d | Conv2d | Linear)]


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """One fit: what is fitted, to what, on what, and how it is trained (of `training` the phases are not used, and
    quantizers keep their own gradients).

    labels, meta: what the packed file says besides, whose bytes count like all others. Classes of the data meet
        those of the model by name: `labels`, or else its `class_names`.

    Raises:
        SpikeletError: an argument is of another kind; the data has no validation samples, by which plans are chosen;
            or it has samples of a class that the model lacks, or that do not fit it.
    """

    model: nn.Module
    data: DataSplits
    budget: Budget
    training: Training = dataclasses.field(default_factory=Training)
    settings: Settings = dataclasses.field(default_factory=Settings)
    labels: tuple[str, ...] = ()
    meta: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        instance("fit", nn.Module, model=self.model)
        instance("fit", DataSplits, data=self.data)
        instance("fit", Budget, budget=self.budget)
        instance("fit", Training, training=self.training)
        instance("fit", Settings, settings=self.settings)
        known = self.labels or class_names_of(self.model)
        object.__setattr__(self, "data", self.data.by_name(known))
        if not len(self.data.validation):
            raise SpikeletError(
                "fit chooses between plans by validation accuracy, and the data has no validation samples. "
                "Load it with validation=0.1, say."
            )

    def run(self, watcher: Watcher) -> Fitted:
        """Runs the five steps. The model is left as it was.

        Raises:
            BudgetError: no plan is small enough; says what the smallest needs.
            OSError: training.compile on a CPU, and no C++ compiler is found.
        """
        require_optuna()  # now, and not after minutes of measuring
        self._try_training()
        s = self.settings
        samples = self._calibration()
        subject = subject_of(self.model, [x for x, _ in samples], s.criterion, self._time_axis)
        report = profile(self.model, subject.example, time_axis=self._time_axis)
        costs = CostModel(subject, report, self.fixed_bytes(subject, samples))
        layers = _weighted(self.model, subject.channels)
        self._require_possible(costs, layers)
        tried = sum(len(s.choices.bits_of(n in subject.first_and_last)) for n in layers)
        watcher.stage("sensitivity", tried + len(subject.orders) * (len(s.choices.ratios) - 1))
        sensitivity = measure(subject, layers, samples, s.choices, watcher.step)
        found = search(costs, sensitivity, s.choices, trials=s.trials, seed=s.seed)
        probes = self._probe(subject, samples, self._spread(found), watcher)
        best = self.best(probes).candidate
        watcher.stage("training the chosen plan", 1)
        model = self._trained(self._ready(subject, best.plan, samples), s.epochs, watcher)
        watcher.step()
        graph = self._lowered(model, subject.example)
        return Fitted(
            model, graph, best.plan, self.budget, self._measured(self.model), self._measured(model),
            self._judge().name, tuple(found), tuple(probes),
        )  # fmt: skip

    def _require_possible(self, costs: CostModel, layers: Sequence[str]) -> None:
        """Raises BudgetError where even the plan that takes the least of everything is beyond the budget."""
        subject, choices = costs.subject, self.settings.choices
        bits = {name: min(choices.bits_of(name in subject.first_and_last)) for name in layers}
        least = costs.of(Plan(bits, dict.fromkeys(subject.orders, max(choices.ratios))))
        if not self.budget.holds(least.size, least.sops):
            raise BudgetError(_impossible(self.budget, least))

    def _try_training(self) -> None:
        """Begins a fine-tuning of a copy, so that what it refuses is refused before minutes of measuring."""
        Loop(copy.deepcopy(self.model), self.data, further(self.training, self.model, 1))

    @property
    def _time_axis(self) -> TimeAxis:
        return self.data.train.time_axis

    def _calibration(self) -> list[tuple[Tensor, Tensor]]:
        chosen = self.data.train.spread(self.settings.samples)
        even = math.ceil(len(chosen) / math.ceil(len(chosen) / BATCH))  # no last batch of one: norms need two
        return [(x.clone(), y.clone()) for x, y in self._batches(chosen, even)]

    def _batches(self, samples: DataSamples, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        device = device_of(self.model)
        return ((x.to(device), y.to(device)) for x, y in batches(samples, size))

    def best(self, probes: Sequence[Probe]) -> Probe:
        """The most accurate trial within the budget, or of all where none is."""
        within = [p for p in probes if self.budget.holds(p.measured.size, p.measured.sops)]
        return max(within or probes, key=lambda p: p.measured.accuracy)

    def fixed_bytes(self, subject: Subject, samples: Samples) -> int:
        """Bytes of the packed file that `CostModel` does not count per layer: header, names, remaining constants.

        Measured on a copy whose layers all got a new quantizer, and neighbours different ones: a plan's quantizers may
        need more text (format 2, `grid`) than the network's own, and equal nodes are packed into less (format 4).
        Channels that nothing reads count as in the layers, though the file leaves them out.
        """
        layers = _weighted(subject.model, subject.channels)
        now = {name: weight_bits_of(layer_of(subject.model, name)) for name in layers}
        unlike = itertools.cycle((8, 4, 6, 3, 5))
        other = {name: next(b for b in unlike if b != bits) for name, bits in now.items()}
        model = self._ready(subject, Plan(other), samples)
        report = profile(model, subject.example, time_axis=self._time_axis)
        whole = self._lowered(model, subject.example, with_all_channels)
        return len(dumps(whole)) - sum(s.packed_bytes for s in report.synapses)

    def _lowered(self, model: nn.Module, example: Tensor, lowering: Callable[..., ir.IntGraph] = lower) -> ir.IntGraph:
        return lowering(model, example, time_axis=self._time_axis, labels=self.labels, meta=dict(self.meta))

    def _spread(self, found: Sequence[Candidate]) -> list[Candidate]:
        """Plans of the front within the budget: the one of least loss, and others below it in even steps of size."""
        fitting = [c for c in found if self.budget.holds(c.cost.size, c.cost.sops)]
        if not fitting:
            small, quiet = min(c.cost.size for c in found), min(c.cost.sops for c in found)
            raise BudgetError(_impossible(self.budget, Cost(small, quiet)))
        fitting.sort(key=lambda c: c.loss_increase)
        best, low = fitting[0], min(c.cost.size for c in fitting)
        steps = max(self.settings.probes - 1, 1)
        limits = [best.cost.size - i * (best.cost.size - low) / steps / 2 for i in range(self.settings.probes)]
        chosen = [next(c for c in fitting if c.cost.size <= limit) for limit in limits]
        return list({id(c): c for c in chosen}.values())

    def _probe(self, subject: Subject, samples: Samples, chosen: Sequence[Candidate], watcher: Watcher) -> list[Probe]:
        watcher.stage("trying plans", len(chosen))
        probes = []
        for candidate in chosen:
            model = self._trained(self._ready(subject, candidate.plan, samples), self.settings.probe_epochs, watcher)
            probes.append(Probe(candidate, self._measured(model, self.data.validation)))
            watcher.step()
        return probes

    def _ready(self, subject: Subject, plan: Plan, samples: Samples) -> nn.Module:
        model = subject.build(plan)
        recalibrate(model, inputs_of(samples))
        return model

    def _trained(self, model: nn.Module, epochs: int, watcher: Watcher) -> nn.Module:
        training = further(self.training, model, epochs)
        train_further(model, self.data, training, watcher.reporter(training))
        return model

    def _judge(self) -> DataSamples:
        return self.data.test if len(self.data.test) else self.data.validation

    def _measured(self, model: nn.Module, on: DataSamples | None = None) -> Measured:
        split = self._judge() if on is None else on
        x = next(iter(self._batches(split.spread(BATCH), BATCH)))[0]
        report = profile(model, x, time_axis=self._time_axis)
        accuracy = evaluate(model, self._batches(split, BATCH), time_axis=self._time_axis)
        return Measured(accuracy, self._size(model, x, report.total.packed_bytes), report.total.paper_sops)

    def _size(self, model: nn.Module, x: Tensor, arrays: int) -> int:
        """Bytes of the packed file; a float network has none, and counts its arrays."""
        if has_float_weights(model):
            return arrays
        return len(dumps(self._lowered(model, x)))


def _impossible(budget: Budget, least: Cost) -> str:
    asked = [f"{budget.max_bytes} bytes"] if budget.max_bytes is not None else []
    asked += [f"{budget.max_sops:g} SOPs"] if budget.max_sops is not None else []
    return (
        f"no plan meets {' and '.join(asked)}: the smallest has {least.size} bytes, the quietest {least.sops:.3g} SOPs."
        " Raise the limit, allow higher ratios in Choices.ratios, or start from a smaller network."
    )
