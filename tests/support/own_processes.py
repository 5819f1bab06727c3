"""Small trainings in a process of their own: `python -m tests.support.own_processes WHICH DIR [DIR,EPOCH,STEP ...]`.

WHICH is one of `CONFIGS`; each DIR gets a training, which is interrupted at EPOCH and STEP where they are given.
`torchrun` starts several of it.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from spikelet.train import Phase, Run, TrainConfig
from tests.support.training_runs import Stop, digits, small_config

CONFIGS: dict[str, TrainConfig] = {
    "float32": small_config(),
    "bf16": small_config(mixed_precision="bf16"),
    # what the CIFAR-10 recipes switch on, over a layer of each kind
    "compiled": small_config(
        model_options={**small_config().model_options, "widths": (4,)},
        compile=True,
        whiten=True,
        phases=(Phase(1, 2, one_pass=True), Phase(1, 2)),
        gradient="straight",
    ),
}


def train(which: str, folder: Path, *stop: int) -> None:
    """Trains, and leaves a digest of each process's weights beside the run."""
    run = Run(CONFIGS[which], digits(), folder, Stop(*stop) if stop else None)
    try:
        model = run.train()
    except KeyboardInterrupt:
        return
    digest = hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).hexdigest()
    (folder / f"digest-{run.loop.accelerator.process_index}").write_text(digest)


if __name__ == "__main__":
    for word in sys.argv[2:]:
        directory, *stopped = word.split(",")
        train(sys.argv[1], Path(directory), *map(int, stopped))
