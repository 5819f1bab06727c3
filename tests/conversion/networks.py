"""Plain networks of torch's layers with quantised activations, as users write them; each takes floats [B, 3, 8, 8]."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.neurons import QCFS, Levels

SIZE = 8


class CNN(nn.Module):
    """Convolutions, one with a batch norm, a max pool and a classifier."""

    def __init__(self, levels: int = 8) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), QCFS(levels, 0.7), nn.Conv2d(8, 12, 3, padding=1, bias=False),
            nn.BatchNorm2d(12), QCFS(levels, 1.3), nn.MaxPool2d(2), nn.Conv2d(12, 16, 3), QCFS(levels, 0.6),
        )  # fmt: skip
        self.drop, self.fc = nn.Dropout(0.1), nn.Linear(64, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.drop(self.features(x).flatten(1)))


class Block(nn.Module):
    """A residual block; the sum joins an activation and a norm, or two norms."""

    def __init__(self, i: int, o: int, stride: int, levels: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)
        self.act1, self.act2 = QCFS(levels, 0.9), QCFS(levels, 1.7)
        self.conv2, self.norm2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
        self.short = nn.Sequential(nn.Conv2d(i, o, 1, stride), nn.BatchNorm2d(o)) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.act1(self.norm1(self.conv1(x)))
        return self.act2(self.norm2(self.conv2(y)) + self.short(x))


class ResNet(nn.Module):
    """Two blocks and a mean over the map, of `7 x 7` values or so, which is no power of two."""

    def __init__(self, levels: int = 8) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 2, bias=False), nn.BatchNorm2d(8), QCFS(levels, 1.1))
        self.blocks = nn.Sequential(Block(8, 8, 1, levels), Block(8, 12, 2, levels))
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks[0](self.stem(x))
        x = self.blocks[1](F.avg_pool2d(F.pad(x, (0, 2, 0, 2)), 3))
        return self.fc(self.pool(x).flatten(1))


class Attention(nn.Module):
    """Attention of tokens [B, N, C] with levels on the scores, a factor of d^-1/2 and a learned bias."""

    def __init__(self, width: int, heads: int, tokens: int, levels: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.q, self.k, self.v = (QCFS(levels, t) for t in (1.0, 0.8, 1.2))
        self.score, self.mixed = QCFS(levels, 0.9), QCFS(levels, 1.5)
        self.bias = nn.Parameter(torch.randn(heads, tokens, tokens) * 0.1)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = self.q(q), self.k(k), self.v(v)
        scores = self.score(q @ k.transpose(-2, -1) * self.scale + self.bias)
        return self.proj(self.mixed(scores @ v).transpose(1, 2).reshape(b, n, c))


class Layer(nn.Module):
    """A transformer's layer with batch norms over tokens."""

    def __init__(self, width: int, heads: int, tokens: int, levels: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm1d(width), nn.BatchNorm1d(width)
        self.act1, self.act2, self.act3 = QCFS(levels, 1.9), QCFS(levels, 2.1), QCFS(levels, 0.8)
        self.attention = Attention(width, heads, tokens, levels)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        s = self.act1(self.norm1(x.transpose(1, 2)).transpose(1, 2))
        x = x + self.attention(s)
        s = self.act2(self.norm2(x.transpose(1, 2)).transpose(1, 2))
        return x + self.down(self.act3(self.up(s)))


class ViT(nn.Module):
    """A vision transformer: patches, a class token, positions, layers, a mean over tokens."""

    def __init__(self, levels: int = 8, width: int = 8, depth: int = 2, *, token: bool = True) -> None:
        super().__init__()
        tokens = 17 if token else 16
        self.patches = nn.Conv2d(3, width, 2, 2)
        self.token = nn.Parameter(torch.randn(1, 1, width) * 0.3) if token else None
        self.positions = nn.Parameter(torch.randn(1, tokens, width) * 0.3)
        self.layers = nn.ModuleList(Layer(width, 2, tokens, levels) for _ in range(depth))
        self.norm, self.act = nn.BatchNorm1d(width), Levels(levels, 1.6)
        self.fc = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        if self.token is not None:
            x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        x = x + self.positions
        for layer in self.layers:
            x = layer(x)
        return self.fc(self.act(self.norm(x.transpose(1, 2))).mean(2))


class Masked(nn.Module):
    """Sums of activations of several thresholds, as the Masked Spiking Transformer's streams are."""

    def __init__(self, levels: int = 8) -> None:
        super().__init__()
        self.conv, self.norm, self.first = nn.Conv2d(3, 8, 2, 2), nn.BatchNorm2d(8), QCFS(levels, 1.3)
        self.one, self.two = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)
        self.act1, self.act2, self.between = QCFS(levels, 0.4), QCFS(levels, 0.7), QCFS(levels, 1.2)
        self.behind, self.last, self.fc = nn.BatchNorm2d(8), QCFS(levels, 2.2), nn.Linear(128, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.norm(self.conv(x)))
        x = x + self.act1(self.one(x))
        x = x + self.act2(self.two(self.between(x)))
        return self.fc(self.last(self.behind(x)).flatten(1))


NETWORKS = {"cnn": CNN, "resnet": ResNet, "vit": ViT, "masked": Masked}


def trained(make: type[nn.Module], **options: int) -> tuple[nn.Module, Tensor]:
    """A network after some steps, and images."""
    torch.manual_seed(0)
    net, x = make(**options), torch.randint(0, 256, (24, 3, SIZE, SIZE), dtype=torch.uint8)
    y, optimizer = torch.arange(24) % 5, torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(6):
        loss = F.cross_entropy(net((x / 255 - 0.5) / 0.25), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net.eval(), x
