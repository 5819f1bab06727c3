"""What each pass costs in accuracy, measured on labelled samples."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor, nn

from spikelet.base.errors import AccuracyWarning, CompressionError
from spikelet.base.strict_json import shown
from spikelet.base.time_axis import TimeAxis
from spikelet.compression.passes.base import Row
from spikelet.data.batches import batches
from spikelet.data.samples import Samples
from spikelet.nn.taken import tensor_of
from spikelet.train.evaluate import evaluate

BATCH = 256
COSTLY = 10.0  # percentage points
NOT_MEASURED = "not measured: give compress labelled samples (validation=, a DataSplits, or batches (x, y))"

Pairs = Iterable[tuple[Tensor, Tensor]]


@dataclasses.dataclass(frozen=True, eq=False)
class Judge:
    """Labelled samples in batches (x, y), and what reports call them; None without labels."""

    pairs: Pairs | None
    name: str
    time_axis: TimeAxis

    def accuracy(self, model: nn.Module) -> float | None:
        """Top-1 accuracy in 0..1 in evaluation mode, or None where nothing is labelled."""
        return None if self.pairs is None else evaluate(model, self.pairs, time_axis=self.time_axis)

    def compare(self, pass_name: str, before: float | None, after: float | None) -> list[Row]:
        """The row that reports a pass; warns where it cost more than 10 points."""
        if before is None or after is None:
            return []
        lost = 100 * (before - after)
        was, now = f"{100 * before:.2f} %", f"{100 * after:.2f} % on {self.name}"
        if round(lost, 9) > COSTLY:
            warnings.warn(
                f"{pass_name} costs {lost:.1f} points of accuracy ({was} -> {now}). Fine-tune after it (Finetune) or "
                "let batch norms measure again (Recalibrate); more bits, a smaller ratio or where= cost less.",
                AccuracyWarning,
                stacklevel=4,  # the line that called compress
            )
        return [Row("", f"accuracy by {pass_name}", was, now)]


def judge_of(validation: Samples | Iterable[Any] | None, calibration: Sequence[Any], time_axis: TimeAxis) -> Judge:
    """Samples to judge by: `validation`, or else the calibration batches if all of them are labelled.

    Raises:
        CompressionError: validation holds something other than pairs (x, y), or no sample.
    """
    if isinstance(validation, Samples):
        if not len(validation):
            raise CompressionError("validation holds no sample; leave it out, or give labelled samples.")
        return Judge(batches(validation, BATCH), f"{len(validation)} validation samples", time_axis)
    if not isinstance(validation, Iterable | None):
        raise CompressionError(f"validation must be Samples or batches (x, y), got {shown(validation)}.")
    given = calibration if validation is None else list(validation)
    given = [tuple(map(tensor_of, b)) if isinstance(b, tuple | list) else b for b in given]
    pairs = [(batch[0], batch[1]) for batch in given if _is_labelled(batch)]
    if validation is not None and (not pairs or len(pairs) < len(given)):
        raise CompressionError("validation must be Samples or batches (x, y) with labels y int64 [B].")
    if not pairs or len(pairs) < len(given):
        return Judge(None, "", time_axis)
    what = "calibration" if validation is None else "validation"
    return Judge(pairs, f"{sum(len(y) for _, y in pairs)} {what} samples", time_axis)


def _is_labelled(batch: Any) -> bool:
    if not (isinstance(batch, tuple | list) and len(batch) > 1 and isinstance(batch[1], Tensor)):
        return False
    return batch[1].dim() == 1 and len(batch[1]) > 0 and not batch[1].is_floating_point()
