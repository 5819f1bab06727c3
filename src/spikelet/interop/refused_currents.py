"""Why neurons and layers in a loop can't read a tensor, in words, each with its way out."""

from __future__ import annotations

from collections.abc import Iterable

WAY_OUT = (
    "Pass forward=..., a function of the network and its input [T, B, C, H, W] that is the body of one step without "
    "the loop."
)
EARLIER = "Neurons read their own spikes of the step before alone: let each layer feed back to itself."


def again(neurons: str, step: int, taken: int) -> str:
    """The words for a step of frames that is read a second time."""
    return (
        f"{neurons}: reads step {step} of its current again at step {taken}, as in a loop of several steps a frame. "
        "Feed every frame as often, x.repeat_interleave(2, 0) for two, with as many more time_steps, and give the loop "
        "of one step a frame as forward=."
    )


def another_image(neurons: str, taken: int) -> str:
    """The words for an image that is shown at some steps only."""
    return (
        f"{neurons}: reads another image at step {taken} than at step 0, as where it is shown at the first step only, "
        "or weighted. Feed frames, the image and then zeros, time_axis=0 and scale=1/255, and give a loop over them as "
        "forward=."
    )


def carried(neurons: str, taken: int) -> str:
    """The words for what is no current of this step and none of those above."""
    return (
        f"{neurons}: at step {taken} of the loop reads something else than the current of that step: what the code "
        "carries from an earlier step, or makes otherwise than at step 0. Neurons read sequences, one step at a time; "
        "their own spikes they read in RLeaky, RSynaptic or a LinearRecurrentContainer. The frame before, prev = x[t], "
        "is a sequence too: before = torch.cat([torch.zeros_like(x[:1]), x[:-1]]), and before[t] in the loop. "
        f"{WAY_OUT}"
    )


def in_two_places(neurons: str) -> str:
    """The words for neurons of all time steps that go on from the membrane of another place."""
    return (
        f"{neurons}: ran on all time steps twice in one forward pass, in two places that share its membrane. Make a "
        "neuron for each of them, or reset it in between, as functional.reset_net does."
    )


def own_spikes(neurons: str, factor: float) -> str:
    """The words for own spikes that come through no layer."""
    return (
        f"{neurons}: reads its own spikes of the step before times {factor:g}, through no layer. Put one between, such "
        f"as back = nn.Linear(n, n, bias=False) with back.weight.data = {factor:g} * torch.eye(n), and add it last."
    )


def others_spikes(neurons: str, layer: str, others: str) -> str:
    """The words for spikes of a later layer."""
    return f"{neurons}: reads spikes of {others} of the step before, through {layer}. {EARLIER}"


def more_than_one_input(layer: str, names: Iterable[str]) -> str:
    """The words for a layer that is given more than its input, such as an output_size, by these names."""
    return (
        f"{layer}: is given more than its input, {', '.join(names) or 'a second argument'}, which its converted copy "
        "does not take. Say it where the layer is made, such as output_padding=1 for output_size=..."
    )


def drawn_anew(function: str) -> str:
    """The words for random numbers that every step draws of what is the same at every step."""
    return (
        f"the network's loop draws random numbers at every step ({function}) of what is the same at every step, "
        "and here they would be drawn once. Draw the frames before the network, and convert it with time_axis=0."
    )


def written_in_place(function: str, what: str) -> str:
    """The words for a function that writes into a tensor which stands for a step."""
    return (
        f"the network's loop writes into {what} in place ({function}). Make a new tensor: a = a + b "
        f"for a += b. {WAY_OUT}"
    )
