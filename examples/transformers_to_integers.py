"""From a vision transformer and a ResNet of Hugging Face's transformers to packed integer files: `convert` is the dozen
lines.

    pip install transformers
    python examples/transformers_to_integers.py

Both networks are transformers' own classes in small configurations, trained on digits from random weights. Activations
get thresholds from images; what integers have not (LayerNorm, softmax) is replaced, and the network learns again for a
while. A minute or two on one core.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from transformers import ResNetConfig, ResNetForImageClassification, ViTConfig, ViTForImageClassification

import spikelet
from spikelet.compression import Finetune
from spikelet.conversion import FromBytes, calibrate, finetune, repair
from spikelet.data import DataSplits, batches, load
from spikelet.lowering.verify import Verification
from spikelet.train import evaluate


def networks() -> dict[str, nn.Module]:
    """A vision transformer of 17 tokens and a ResNet of two stages, for 8 x 8 images."""
    vit = ViTConfig(
        hidden_size=48, num_hidden_layers=2, num_attention_heads=3, intermediate_size=96, image_size=8, patch_size=2,
        num_channels=1, num_labels=10,
    )  # fmt: skip
    resnet = ResNetConfig(
        embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1], layer_type="basic", num_channels=1, num_labels=10
    )
    return {"vit": ViTForImageClassification(vit), "resnet": ResNetForImageClassification(resnet)}


def convert(net: nn.Module, data: DataSplits, path: Path, epochs: int) -> Verification:
    """Calibrates, repairs, trains, converts, lowers, verifies, saves and runs a trained network; says what differed."""
    images = data.train.x[:256].float() / 255  # as the network was fed
    calibrated = calibrate(net, images, levels=16)
    repaired, changes = repair(calibrated, images)
    print(changes)
    tuned = finetune(repaired, data, Finetune(epochs, lr=2e-3, batch_size=64))
    twin = spikelet.convert(tuned, data.test.x[:1], time_steps=16)  # bytes in, counts of spikes inside
    graph = spikelet.lower(twin, data.test.x[:1], labels=data.test.labels)  # integers only
    verification = spikelet.verify(graph, twin, batches(data.test, 200), spikelet.Program)
    spikelet.save(graph, path)
    logits = spikelet.Program(spikelet.load(path))(data.test.x[:5].numpy())  # needs no PyTorch code

    for name, one in (("network", net), ("calibrated", calibrated), ("repaired", repaired), ("fine-tuned", tuned)):
        print(f"{name:10}  {100 * evaluate(FromBytes(one), batches(data.test, 200)):.2f} %")
    floats = 4 * sum(p.numel() for p in net.parameters())
    print(f"integers    {verification}\n{path.name}: {path.stat().st_size:,} bytes; the float32 network has {floats:,}")
    print("classes:", *(graph.labels[k] for k in logits.argmax(1)), " labels:", *data.test.y[:5].tolist())
    return verification


def main(folder: Path, epochs: int = 12, finetune_epochs: int = 8) -> dict[str, Verification]:
    """Trains and converts both networks; returns what differed between PyTorch and the integers."""
    torch.manual_seed(0)
    data, verifications = load("digits"), {}
    for name, net in networks().items():
        trained = finetune(net, data, Finetune(epochs, lr=3e-3, batch_size=64))
        print(f"--- {name}")
        verifications[name] = convert(trained, data, folder / f"{name}.safetensors", finetune_epochs)
    return verifications


if __name__ == "__main__":
    torch.set_num_threads(1)  # tensors as small as these only lose by being shared
    out = Path("demo")
    out.mkdir(exist_ok=True)
    main(out)
