"""Some hundreds of damaged files through readers and commands: each is used, or refused by one sentence.

`make fuzz` tries 25,000.
"""

from __future__ import annotations

import pytest

from tests.fuzz import fuzz_data, judge

pytest.importorskip("PIL")
datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def _own_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the fuzzer sets for its process is as it was afterwards."""
    monkeypatch.setenv("SPIKELET_CACHE", "")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", None)


@pytest.mark.parametrize(("family", "inputs"), [("pictures", 200), ("arrays", 200), ("sets", 60)])
def test_damaged_files_are_used_or_refused_by_one_sentence(
    family: str, inputs: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fuzz_data.main([family, "--inputs", str(inputs), "--seed", "1"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    "error",
    [
        KeyError("a"),
        TypeError("a"),
        ValueError("two\nlines"),
        ValueError("<x object at 0x7f>"),
        ValueError("x" * 2000),
        OSError(),
    ],
)
def test_the_judge_sees_what_is_no_clear_sentence(error: Exception) -> None:
    def fail() -> None:
        raise error

    with pytest.raises((judge.Fault, KeyError, TypeError)):
        judge.read(fail)
