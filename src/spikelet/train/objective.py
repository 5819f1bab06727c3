"""What a training step minimises.

L = L_labels + lambda R                                   losses.py
L = (1 - w) L_labels + lessons + lambda R                 with a teacher, distillation.py
"""

from __future__ import annotations

from torch import Tensor, nn

from spikelet.train.config import Training
from spikelet.train.distillation import Distillation
from spikelet.train.features import features
from spikelet.train.lessons import OUTPUT
from spikelet.train.losses import LOSSES, firing_rates, mean_rate, rate_loss


class Objective(nn.Module):
    """Model, loss and teacher in one module, so that one compiled graph holds all.

    Returns (loss, mean firing rate of all neuron layers, 0 without any).
    """

    def __init__(self, model: nn.Module, training: Training, distillation: Distillation | None = None) -> None:
        super().__init__()
        self.model, self.distillation = model, distillation
        self.regulation = training.regulation
        self.classify = LOSSES[training.loss]
        self.label_smoothing = training.label_smoothing

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and the mean firing rate, for x uint8 [B, ...] or [T, B, ...] and labels y [B]."""
        asked = [] if self.distillation is None else self.distillation.of_network
        with firing_rates(self.model) as rates, features(self.model, asked) as seen:
            logits = self.model(x)
            loss = self._learned(x, {**seen, OUTPUT: logits}, y)
            if self.regulation.spike:
                loss = loss + self.regulation.spike * rate_loss(rates, self.regulation.rate)
            return loss, mean_rate(rates).to(loss.device).detach()

    def _learned(self, x: Tensor, seen: dict[str, Tensor], y: Tensor) -> Tensor:
        def classify(logits: Tensor) -> Tensor:
            return self.classify(logits, y, self.label_smoothing)

        return classify(seen[OUTPUT]) if self.distillation is None else self.distillation(x, seen, classify)
