"""A configuration with another length, other time steps, another network, or other data; the given one is left alone.

of_length         epochs e_1 .. e_n of the phases become N in the same proportions, the last at least 1
at_time_steps     T of the last phase becomes T', in the network and in the phases that had it
at_rate           the peak of the learning rate becomes lr, that before pruning in the same proportion
at_firing_rate    the loss draws the firing rate of every layer to a rate
for_samples       num_classes, in_channels and image_size become those of the samples
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
from typing import Any

from spikelet.base.errors import SpikeletError
from spikelet.data import Samples
from spikelet.models.catalogue import builder_of
from spikelet.train import Phase, TrainConfig

LEAST_FIRING_RATE = 1e-6
SHARED = ("num_classes", "time_steps", "weight_bits", "membrane_bits", "in_channels", "image_size")


def of_length(config: TrainConfig, epochs: int) -> TrainConfig:
    """`config` with phases of `epochs` in all; those that become too short for an epoch are left out. Its teacher's
    training, and the epoch from which it is asked, change in the same proportion; so does the training before pruning.

    Raises:
        SpikeletError: epochs is not a whole number from 1 on.
    """
    Phase(epochs, 1)  # checks the number
    before, unpruned = config.epochs, config.unpruned
    if unpruned is not None:
        trained = max(1, _part(sum(phase.epochs for phase in unpruned.phases), epochs, before))
        unpruned = dataclasses.replace(unpruned, phases=_phases_of_length(unpruned.phases, trained))
    teacher = config.teacher and dataclasses.replace(
        config.teacher,
        epochs=max(1, _part(config.teacher.epochs, epochs, before)),
        after=min(_part(config.teacher.after, epochs, before), epochs - 1),
    )
    phases = _phases_of_length(config.phases, epochs)
    return dataclasses.replace(config, phases=phases, teacher=teacher, unpruned=unpruned)


def _phases_of_length(phases: tuple[Phase, ...], epochs: int) -> tuple[Phase, ...]:
    """`phases` of `epochs` in all, the last at least 1; those that become too short for an epoch are left out."""
    before = sum(phase.epochs for phase in phases)
    ends = [_part(end, epochs, before) for end in itertools.accumulate(phase.epochs for phase in phases)]
    ends = [min(end, epochs - 1) for end in ends[:-1]] + [epochs]
    lengths = [end - start for start, end in itertools.pairwise([0, *ends])]
    return tuple(
        dataclasses.replace(phase, epochs=length) for phase, length in zip(phases, lengths, strict=True) if length
    )


def _part(value: int, now: int, before: int) -> int:
    """value * now / before, halves up."""
    return (2 * value * now + before) // (2 * before)


def at_time_steps(config: TrainConfig, time_steps: int) -> TrainConfig:
    """`config` at T = `time_steps`: the network, the frames of events, and the phases that had the last one's T, those
    before pruning too. A phase at another T keeps it, where that is less.

    Raises:
        SpikeletError: time_steps is not a whole number from 1 to 1024.
    """
    last = config.phases[-1].time_steps

    def at(phases: tuple[Phase, ...]) -> tuple[Phase, ...]:
        return tuple(
            dataclasses.replace(p, time_steps=time_steps if p.time_steps == last else min(p.time_steps, time_steps))
            for p in phases
        )

    unpruned = config.unpruned and dataclasses.replace(config.unpruned, phases=at(config.unpruned.phases))
    data_options = config.data_options | ({"time_steps": time_steps} if "time_steps" in config.data_options else {})
    model_options = known_to(config.model, config.model_options | {"time_steps": time_steps})
    return dataclasses.replace(
        config,
        phases=at(config.phases),
        data_options=data_options,
        model_options=model_options,
        unpruned=unpruned,
    )


def at_rate(config: TrainConfig, lr: float) -> TrainConfig:
    """`config` with a learning rate whose peak is `lr`; that of the training before pruning changes in the same
    proportion.

    Raises:
        SpikeletError: lr is not a number above 0.
    """
    optimizer, unpruned = dataclasses.replace(config.optimizer, lr=lr), config.unpruned
    if unpruned is not None and unpruned.optimizer is not None:
        before = unpruned.optimizer.lr * optimizer.lr / config.optimizer.lr
        unpruned = dataclasses.replace(unpruned, optimizer=dataclasses.replace(unpruned.optimizer, lr=before))
    return dataclasses.replace(config, optimizer=optimizer, unpruned=unpruned)


def at_firing_rate(config: TrainConfig, rate: float) -> TrainConfig:
    """`config` whose loss draws the firing rate of every layer to `rate`, with a lambda of 1 / (10 rate^2): layers that
    fire twice as often cost 0.1, however low the rate is. Streams that training would invert are stored, as inverted
    ones keep no rates.

    Raises:
        SpikeletError: rate is not at least 1e-6, or not below 1.
    """
    if not LEAST_FIRING_RATE <= rate < 1:
        raise SpikeletError(f"a firing rate must be at least {LEAST_FIRING_RATE:g} and below 1, got {rate}.")
    regulation = dataclasses.replace(config.regulation, spike=0.1 / rate**2, rate=rate)
    inverts = config.model_options.get("recompute", default_of(config.model, "recompute", False))
    stored = {"recompute": False} if inverts else {}
    return dataclasses.replace(config, regulation=regulation, model_options={**config.model_options, **stored})


def with_model(config: TrainConfig, model: str) -> TrainConfig:
    """`config` with the network `model`, and of the options those that all networks share. Another network is not
    pruned: its layers are others.

    Raises:
        SpikeletError: there is no such network.
    """
    if model == config.model:
        return config
    shared = {name: value for name, value in config.model_options.items() if name in SHARED}
    return dataclasses.replace(config, model=model, model_options=known_to(model, shared), unpruned=None)


def for_samples(config: TrainConfig, train: Samples) -> TrainConfig:
    """`config` with a network that has the classes, channels and size of `train`.

    Raises:
        SpikeletError: there are no samples, or they are not square, as the networks of the catalogue take them.
    """
    channels, height, width = train.sample_shape[-3:]
    if not len(train):
        raise SpikeletError(f"{train.name} has no training samples. Put some into a split called train.")
    if height != width:
        raise SpikeletError(
            f"the samples of {train.name} have {height} x {width} pixels, and networks of the catalogue take squares. "
            "Load them with image_size= (on the command line --image-size)."
        )
    taken = {"num_classes": len(train.labels), "in_channels": channels, "image_size": height}
    return dataclasses.replace(config, model_options=known_to(config.model, config.model_options | taken))


def default_of(model: str, option: str, otherwise: Any) -> Any:
    """What the network `model` takes for an option that nobody gives; `otherwise` where it has no such option."""
    parameter = inspect.signature(builder_of(model)).parameters.get(option)
    return otherwise if parameter is None or parameter.default is parameter.empty else parameter.default


def known_to(model: str, options: dict[str, Any]) -> dict[str, Any]:
    """`options` without those that other networks share and `model` does not take."""
    taken = inspect.signature(builder_of(model)).parameters
    return {name: value for name, value in options.items() if name in taken or name not in SHARED}
