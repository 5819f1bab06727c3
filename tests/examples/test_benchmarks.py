"""Benchmarks that need no training run at their smallest, so that they still run when a number is wanted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str) -> str:
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_latency_of_a_network_is_measured_beside_pytorch(tmp_path: Path):
    run("benchmarks.end_to_end", "qsnn_vgg_s", "--seconds", "0.05", "--out", str(tmp_path / "latency.json"))
    written = json.loads((tmp_path / "latency.json").read_text())
    assert written


def test_published_sizes_come_out():
    assert "resnet18" in run("benchmarks.qpsnn_sizes")


def test_every_benchmark_imports():
    found = sorted(p.stem for p in (ROOT / "benchmarks").glob("*.py") if "argparse" in p.read_text())
    assert len(found) >= 8
    code = "import importlib, sys; [importlib.import_module(f'benchmarks.{name}') for name in sys.argv[1:]]"
    done = subprocess.run([sys.executable, "-c", code, *found], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
