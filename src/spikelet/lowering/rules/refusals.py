"""What integers can't compute, each with the way out."""

from __future__ import annotations

from spikelet.lowering.registry import refuse

refuse(
    "A layer norm divides by a deviation of each sample, which integers don't have. Use spikelet.nn.BatchNorm2d, whose "
    "statistics are constants.",
    "LayerNorm", "layer_norm", "GroupNorm", "group_norm", "InstanceNorm1d", "InstanceNorm2d", "instance_norm",
    "RMSNorm", "rms_norm",
)  # fmt: skip
refuse(
    "Softmax needs exponentials. Behind a network's scores leave it out, as the class is the same. Inside give the "
    "scores to a neuron instead: spikelet.neurons.LIF on q @ k.T, which spikes where they are large, or a neuron with "
    "levels.",
    "softmax", "log_softmax", "Softmax", "LogSoftmax", "scaled_dot_product_attention", "_softmax", "MultiheadAttention",
)  # fmt: skip
refuse(
    "An activation of real values. Use a neuron: spikelet.neurons.LIF, or one with levels, which is a quantized ReLU.",
    "gelu", "GELU", "silu", "SiLU", "sigmoid", "Sigmoid", "tanh", "Tanh", "elu",
    "softplus", "mish", "hardswish", "exp", "log", "sqrt",
    "rsqrt",
)  # fmt: skip
refuse(
    "Its slope below 0 is a product: torch.where(x > 0, x, 0.25 * x), with a power of two. Or use a neuron, or a ReLU.",
    "leaky_relu", "leaky_relu_", "LeakyReLU", "prelu", "PReLU", "rrelu",
)  # fmt: skip
refuse(
    "Random numbers differ at every run. Draw spikes of an image outside, and feed them as frames (time_axis=0). "
    "Choose a fixed subset of channels or tokens: spikelet.nn.ChannelMap, or slices.",
    "bernoulli", "poisson", "rand_like", "randn_like", "bernoulli_", "multinomial", "dropout_",
)  # fmt: skip
refuse(
    "Compare with a number, (x >= 1).float(), or use a neuron, whose surrogate gradient trains: spikelet.neurons.LIF "
    "with leak 0 fires where its current reaches the threshold.",
    "sign", "heaviside",
)  # fmt: skip
refuse(
    "Its weights are floats: use spikelet.nn.Conv2d with a quantizer.", "Conv2d", "conv2d", "ConvTranspose2d",
    "conv_transpose2d",
)  # fmt: skip
refuse("Its weights are floats: use spikelet.nn.Linear with a quantizer.", "Linear", "linear")
refuse(
    "The graph compares two tensors by torch.maximum(a, b) and torch.minimum(a, b); of two tensors of spikes the "
    "difference is a + b - 2 * (a * b). Over a map use spikelet.nn.MaxPool2d; of logits take the mean or the sum over "
    "time, or one step x[t].",
    "median", "mode", "norm", "std", "var",
)  # fmt: skip
refuse(
    "It divides by a norm of each sample. Behind a network's scores leave it out, as their order is the same; inside "
    "use spikelet.nn.BatchNorm2d or BatchNorm1d, whose statistics are constants.",
    "normalize",
    "cosine_similarity",
)
refuse(
    "What order values have depends on the input. Return the logits, and sort or pick outside of the model.",
    "argmax", "argmin", "topk", "sort", "argsort", "msort", "kthvalue", "nonzero", "unique", "scatter", "scatter_",
    "scatter_add", "one_hot", "cummax", "bincount",
)  # fmt: skip
refuse(
    "Values are rounded in neurons and in spikelet.nn.Requantize, which says how.",
    "round", "round_", "floor", "floor_", "ceil", "trunc",
    "__floordiv__", "floor_divide", "remainder", "__mod__", "fmod",
)  # fmt: skip
refuse(
    "Write powers as products, x * x, and quotients by a constant as spikelet.nn.Scale(1 / c).",
    "pow", "pow_", "__pow__", "square", "float_power", "reciprocal", "prod",
)  # fmt: skip
refuse("Write differences out, of frames as torch.cat([x[:1], x[1:] - x[:-1]]).", "diff")
refuse("Write it as sums and products of tensors, each on its own.", "addcmul", "addcdiv", "lerp", "baddbmm", "addmm")
refuse(
    "Use spikelet.nn.BatchNorm2d or BatchNorm1d, time first, whose statistics are constants.",
    "batch_norm", "BatchNorm3d", "SyncBatchNorm", "LazyBatchNorm1d", "LazyBatchNorm2d",
)  # fmt: skip
