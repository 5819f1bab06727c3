"""The machines and precisions that a training may run on: compiled, in bf16, on two processes, on a GPU."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from spikelet.data import batches
from spikelet.lowering import lower, verify
from spikelet.nn.device import device_of
from spikelet.train import Run, evaluate, load_run
from spikelet.train.compiler import compiled, require_compiler
from tests.support.training_runs import assert_same_run, digits, metrics, small_config

ROOT = Path(__file__).resolve().parents[2]


def compiles() -> bool:
    """Whether torch.compile has what it needs here."""
    try:
        require_compiler()
    except OSError:
        return False
    return True


def train_apart(which: str, *words: Path | str, launcher: tuple[str, ...] = ()) -> None:
    """`small_config` trained in new processes (tests/support/own_processes.py)."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, *launcher, "-m", "tests.support.own_processes", which, *map(str, words)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.skipif(not compiles(), reason="needs a C++ compiler and Python's headers")
def test_a_compiled_run_goes_on_as_if_nothing_had_happened(tmp_path: Path):
    train_apart("compiled", tmp_path / "whole", f"{tmp_path / 'stopped'},1,1")
    assert not (tmp_path / "stopped" / "weights.safetensors").exists()
    train_apart("compiled", tmp_path / "stopped")
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


def test_a_ninth_training_in_one_process_is_compiled_too():
    class Scaled(torch.nn.Module):
        def __init__(self, size: int) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(size))

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, bool]:
            return x * self.weight, torch.compiler.is_compiling()

    with compiled_by("eager"):
        assert all(compiled(Scaled(size))(torch.ones(size))[1] for size in range(2, 14))


def test_sizes_of_a_compiled_training_stay_numbers():
    seen: list[object] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., object]:
        seen.extend(size for x in inputs for size in getattr(x, "shape", [x]))
        return graph.forward

    with compiled_by(backend):
        step = compiled(torch.nn.ReLU())
        for width in (4, 5, 6):
            step(torch.ones(2, width))
    assert seen == [2, 4, 2, 5, 2, 6]
    assert all(type(size) is int for size in seen)


@contextlib.contextmanager
def compiled_by(backend: object) -> Iterator[None]:
    """torch.compile with this backend in the place of Inductor."""
    compiler = torch.compile
    torch.compile = lambda module, **options: compiler(module, backend=backend, **options)  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.compile = compiler


def test_bf16_trains_float32_weights_that_lower_exactly(tmp_path: Path):
    train_apart("bf16", tmp_path / "bf16")
    Run(small_config(), digits(), tmp_path / "float32").train()
    assert metrics(tmp_path / "bf16") != metrics(tmp_path / "float32")
    (model, config), data = load_run(tmp_path / "bf16"), digits()
    assert config.mixed_precision == "bf16"
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert verify(lower(model, data.test.x[:1]), model, batches(data.test, 10)).mismatches == 0


def test_a_second_precision_in_one_process_is_refused_with_a_way_out(tmp_path: Path):
    Run(small_config(), digits(), tmp_path / "float32")
    with pytest.raises(ValueError, match="mixed_precision='bf16' is not that of this process's first training, 'no',"):
        Run(small_config(mixed_precision="bf16"), digits(), tmp_path / "bf16")


def test_two_processes_train_one_network(tmp_path: Path):
    train_apart("float32", tmp_path, launcher=("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"))
    first, second = ((tmp_path / f"digest-{rank}").read_text() for rank in (0, 1))
    assert first == second
    assert [line["epoch"] for line in metrics(tmp_path)] == [0, 1, 2, 3]
    assert (tmp_path / "weights.safetensors").exists()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_run_on_a_gpu_comes_home_and_a_model_there_evaluates_and_lowers(tmp_path: Path):
    data = digits()
    run = Run(small_config(), data, tmp_path)
    model = run.train()
    assert run.loop.accelerator.device.type == "cuda"
    assert device_of(model).type == "cpu"
    accuracy = evaluate(model, batches(data.test, 10))
    away = model.cuda()
    assert evaluate(away, batches(data.test, 10)) == accuracy
    assert verify(lower(away, data.test.x[:1]), away, batches(data.test, 10)).mismatches == 0
