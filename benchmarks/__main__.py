"""`make bench`: latency beside PyTorch and int8 twins of small networks and three transformers, and their layers one by
one.

    python -m benchmarks [--small] [--batch 1 32] [--threads 1] [--seconds 10] [--out bench.json]

Most of the time is torch.compile's: --small, the small networks alone, takes little. See end_to_end.py and layers.py.
"""

from __future__ import annotations

import argparse

from benchmarks import layers
from benchmarks.end_to_end import BESIDE, options_of, table, write

SMALL, SHIPPED = ("qsnn_vgg_s",), ("qsnn-vgg-s-cifar10",)
INT8 = ("ort_int8", "openvino_int8")
TRANSFORMERS = ("bestformer_4_384:1", "spikformer_4_384:1", "spikformer_4_384:4")


def main() -> None:
    """Measures, prints tables and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="the small networks alone")
    options_of(parser)
    args = parser.parse_args()
    args.beside = list(BESIDE)
    results = table(SMALL, args)
    print()
    args.beside = ["eager", *INT8]
    results += table(SHIPPED, args)
    if not args.small:
        print()
        args.beside = ["eager", "compiled", "bf16", *INT8]
        results += table(TRANSFORMERS, args)
        results += layers.tables(TRANSFORMERS, args.seconds)
    write(args.out, results)


if __name__ == "__main__":
    main()
