"""A small training in its own process: `python -m tests.support.own_processes DIR WHICH [EPOCH STEP]`, WHICH as below.

With EPOCH and STEP it is interrupted there; `torchrun` starts several of it.
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
    # what the CIFAR-10 recipes switch on
    "compiled": small_config(
        compile=True, whiten=True, phases=(Phase(1, 2, one_pass=True), Phase(1, 2)), gradient="straight"
    ),
}


def main(folder: Path, which: str, *stop: str) -> None:
    """Trains, and leaves a digest of each process's weights beside the run."""
    run = Run(CONFIGS[which], digits(), folder, Stop(*map(int, stop)) if stop else None)
    try:
        model = run.train()
    except KeyboardInterrupt:
        return
    digest = hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).hexdigest()
    (folder / f"digest-{run.loop.accelerator.process_index}").write_text(digest)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
