"""`make bench`: latency of whole networks beside PyTorch, int8 twins and SpikingJelly, their layers, and a picture.

Small networks, three transformers, one of them with cuts too, and a residual network; what fewer and more spikes, and
fewer time steps, turn; what two threads bring; lesser machines' instructions; linear layers beside ONNX Runtime's of 2
bits.

    python -m benchmarks [--small] [--eager] [--batch 1 32] [--threads 1] [--seconds 10] [--out bench.json]
                         [--plot bench.png]

Most of the time is torch.compile's: --eager leaves it out, and --small, the small networks alone, takes little. See
end_to_end.py, limited.py, layers.py, linear_nbits.py and latency_picture.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarks import latency_picture, layers, limited, linear_nbits
from benchmarks.end_to_end import BESIDE, options_of, table, write

SMALL, SHIPPED = ("qsnn_vgg_s",), ("qsnn-vgg-s-cifar10",)
COMPILED = ("compiled", "bf16")
PYTORCH, INT8, THEIRS = ("eager", *COMPILED), ("ort_int8", "openvino_int8"), ("spikingjelly",)
RESNETS, SIDE = ("qpsnn_resnet18:1",), 128  # whose stem makes of it the maps of 32 x 32 that ResNets of CIFAR have
RATES, STEPS = [0.02, 0.05, 0.2, 0.5], (1, 2)  # of a neuron, and T, beside the 0.1 and 4 of all other rows
SPIKFORMERS, OTHERS = ("spikformer_4_384:1", "spikformer_4_384:4"), ("bestformer_4_384:1",)


def main() -> None:
    """Measures, prints tables, writes JSON and draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="the small networks alone")
    parser.add_argument("--eager", action="store_true", help="no torch.compile, which takes most of the time")
    parser.add_argument("--plot", type=Path, help="where the picture goes, PNG")
    options_of(parser)
    args = parser.parse_args()
    results = []

    def measure(words: tuple[str, ...], *beside: str, **changed: Any) -> None:
        print()
        beside = tuple(name for name in beside if not args.eager or name not in COMPILED)
        results.extend(table(words, argparse.Namespace(**{**vars(args), "beside": beside, **changed})))

    measure(SMALL, *BESIDE)
    measure(SHIPPED, "eager", *INT8)
    measure(SHIPPED, batch=[32], threads=[1, 2])
    if not args.small:
        measure(SPIKFORMERS, *PYTORCH, *INT8, *THEIRS)
        measure(SPIKFORMERS[:1], *PYTORCH, *INT8, snap=True)
        measure(RESNETS, *PYTORCH, *INT8, image_size=SIDE)
        measure(SPIKFORMERS[:1], "eager", *INT8, snap=True, batch=[1], firing=RATES)
        for steps in STEPS:  # one step has cuts as it is
            measure(SPIKFORMERS[:1], "eager", *INT8, snap=steps > 1, batch=[1], time_steps=steps)
        measure(RESNETS, "eager", *INT8, batch=[1], firing=RATES, image_size=SIDE)
        measure(OTHERS, "eager", *INT8)
        results += limited.tables(SPIKFORMERS, args.seconds)
        results += limited.tables(SPIKFORMERS[:1], args.seconds, ["--snap"])
    ends = list(results)
    if not args.small:
        results += layers.tables((*SPIKFORMERS, *OTHERS), args.seconds)
        results += linear_nbits.tables(SPIKFORMERS[:1], args.seconds)
    write(args.out, results)
    if args.plot is not None:
        latency_picture.draw(ends, args.plot)


if __name__ == "__main__":
    main()
