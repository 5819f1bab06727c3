"""What to do about a class of another library, or of torch, that has no counterpart here."""

from __future__ import annotations

GATES = "Its gates are sigmoids, which integers don't have: "
STATISTICS = "Its statistics are those of each sample, which integers don't have: train with batch norms."
ACTIVATION = "Integers have neurons in its place, IFNode, LIFNode or Leaky, and ReLU."
INSIDE = "Convert the network inside: net.module."
OUTSIDE = "Leave it out and apply it to what the program gives; the class is the same without it."
PARALLEL = "It mixes all time steps by learned weights: train with LIFNode or ParametricLIFNode."
CURVED = "Its membrane changes by more than a leak: train with LIFNode, ParametricLIFNode or CUBALIFNode."
COUNTS = "It gives rates of all time steps at once: train with IFNode or LIFNode."
ENCODED = (
    "Put nn.Identity() in its place, feed frames of 0 and 255 that it would have made, time_axis=0 and scale=1/255, "
    "and give what stands behind it in the loop: forward=lambda net, x: net.layers(x)."
)
TIME_FIRST = "Put time first, and use SeqToANNContainer or MultiStepContainer."
SQUARE = "Its windows go over time too: pool and convolve one step, with the layers of two dimensions."

WAYS_OUT = {
    **dict.fromkeys(("PoissonEncoder", "LatencyEncoder", "WeightedPhaseEncoder", "PeriodicEncoder"), ENCODED),
    "MultiDimensionalAttention": "It multiplies by sigmoids of averages, which integers don't have: train without it.",
    "TemporalWiseAttention": "It multiplies by sigmoids of averages, which integers don't have: train without it.",
    "MultiheadAttention": "Its softmax needs exponentials: train with SpikingSelfAttention, or q @ k into a neuron.",
    "SynapseFilter": "Its leak depends on its own input: train without it, or with snnTorch's Synaptic.",
    "OTTTSequential": "It trains step by step: convert a network of plain layers that has its weights, standardised.",
    "WSConv2d": "Convert a Conv2d that has its weights, standardised.",
    "WSLinear": "Convert a Linear that has its weights, standardised.",
    "ElementWiseRecurrentContainer": "Feedback through weights has one: LinearRecurrentContainer.",
    "Alpha": "Its reset also drops the current of the step after a spike: train with Synaptic.",
    "LeakyParallel": "It keeps the ReLU of a membrane, which is never reset: train with Leaky.",
    "SConv2dLSTM": f"{GATES}train with RLeaky(conv2d_channels=..., kernel_size=...).",
    "Embedding": "Look its vectors up outside, and feed them as frames.",
    **dict.fromkeys(("SLSTM", "LSTM", "GRU"), f"{GATES}train with RLeaky, RSynaptic or LinearRecurrentContainer."),
    **dict.fromkeys(("RecursiveScriptModule", "ScriptModule"), "Convert the network that was scripted."),
    **dict.fromkeys(("DataParallel", "DistributedDataParallel"), INSIDE),
    **dict.fromkeys(("ReflectionPad2d", "ReplicationPad2d", "CircularPad2d"), "Pad with zeros: nn.ZeroPad2d."),
    "OptimizedModule": "Convert the network that was compiled: net._orig_mod.",
    "DropConnectLinear": "Convert a Linear that has its weights.",
    "DSRIFNode": COUNTS,
    "DSRLIFNode": COUNTS,
    "LIAFNode": "It gives real values: train with LIFNode, whose spikes integers have.",
    **dict.fromkeys(("GroupNorm", "LayerNorm", "InstanceNorm1d", "InstanceNorm2d", "RMSNorm", "NeuNorm"), STATISTICS),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Softmax2d"), OUTSIDE),
    **dict.fromkeys(("Sigmoid", "Tanh", "GELU", "SiLU", "ELU", "LeakyReLU", "PReLU", "Softplus"), ACTIVATION),
    **dict.fromkeys(("PSN", "MaskedPSN", "SlidingPSN"), PARALLEL),
    **dict.fromkeys(
        ("QIFNode", "EIFNode", "IzhikevichNode", "KLIFNode", "GatedLIFNode", "ComplementaryLIFNode", "RAFNode"), CURVED
    ),
    **dict.fromkeys(("TLastSeqToANNContainer", "TLastMultiStepContainer"), TIME_FIRST),
    **dict.fromkeys(("Conv3d", "MaxPool3d", "AvgPool3d", "AdaptiveAvgPool3d"), SQUARE),
}


def way_out(cls: type, library: str, neurons: list[str], layers: list[str]) -> str:
    """What to do about `cls`, and which classes have a counterpart.

    Args:
        library: where `cls` is looked for beside torch.
        neurons, layers: names of those that have one.
    """
    is_neuron = "neuron" in cls.__module__
    names = ", ".join(neurons if is_neuron else layers)
    supported = (
        f"Supported {'neurons' if is_neuron else 'layers'} of {library}{'' if is_neuron else ' and torch'}: {names}."
    )
    return f"{WAYS_OUT[cls.__name__]} ({supported})" if cls.__name__ in WAYS_OUT else supported
