"""Ordinary networks, written as people write them: nothing in them is spikelet's."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Self-attention of tokens [B, N, C], in one of the ways in which it is written."""

    def __init__(self, width: int, heads: int, way: str) -> None:
        super().__init__()
        self.heads, self.way = heads, way
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.softmax = nn.Softmax(-1) if way == "module" else None
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if self.way == "fused":
            y = F.scaled_dot_product_attention(q, k, v)
        else:
            scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
            y = torch.matmul(self.softmax(scores) if self.softmax else scores.softmax(dim=-1), v)
        return self.drop(self.out(y.transpose(1, 2).flatten(2)))


class ViT(nn.Module):
    """Patches, one block, a mean over tokens."""

    def __init__(self, way: str, norm: Callable[[int], nn.Module] = nn.LayerNorm, width: int = 16) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, width, 2, stride=2)
        self.position = nn.Parameter(0.1 * torch.randn(1, 16, width))
        self.before, self.attention = norm(width), Attention(width, 2, way)
        self.after, self.mlp = norm(width), nn.Sequential(nn.Linear(width, 32), nn.GELU(), nn.Linear(32, width))
        self.norm, self.head = norm(width), nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).flatten(2).transpose(1, 2) + self.position
        x = x + self.attention(self.before(x))
        x = x + self.mlp(self.after(x))
        return self.head(self.norm(x).mean(1))


class Bottleneck(nn.Module):
    """Convolutions that read currents, of a sum and of a norm, and a pooler with tanh."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU6())
        self.narrow = nn.Sequential(nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8))
        self.side = nn.Sequential(nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8))
        self.wide = nn.Sequential(nn.Conv2d(8, 8, 1, bias=False), nn.GroupNorm(2, 8), nn.SiLU())
        self.last, self.pooler, self.head = nn.Conv2d(8, 8, 3), nn.Linear(8, 8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.wide(self.narrow(x))
        x = F.dropout(self.last(x + self.side(x)), 0.1, self.training).mean((2, 3))
        return F.softmax(self.head(torch.tanh(self.pooler(x))), dim=-1)


class Encoder(nn.Module):
    """Rows of an image as tokens of torch's own encoder layers."""

    def __init__(self, *, norm_first: bool, batch_first: bool = True) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.embed = nn.Conv1d(24, 16, 1)
        layer = nn.TransformerEncoderLayer(16, 2, 32, activation="gelu", batch_first=batch_first, norm_first=norm_first)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x.flatten(1, 2)).transpose(1, 2)
        y = self.encoder(x if self.batch_first else x.transpose(0, 1))
        return self.head(y.mean(1 if self.batch_first else 0))


def images(count: int = 32, size: int = 8) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    """A network of seeded weights, in evaluation, with statistics of a pass."""
    torch.manual_seed(0)
    net = make().train()
    net(images(64))
    return net.eval()


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "fused attention": lambda: ViT("fused"),
    "softmax module": lambda: ViT("module"),
    "softmax function": lambda: ViT("function"),
    "rms norm": lambda: ViT("fused", nn.RMSNorm),
    "torch's encoder": lambda: Encoder(norm_first=True),
    "torch's encoder, norms behind": lambda: Encoder(norm_first=False, batch_first=False),
    "bottleneck": Bottleneck,
}
