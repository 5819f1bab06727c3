"""What is known of a finished run beside its weights: result.json in its folder.

Written by `spikelet train` after the last epoch, and by `spikelet eval` of a run on its own test set; read by
`spikelet pack`, which so needs no data set.
"""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

from spikelet.base.checkout import commit_of
from spikelet.base.command import command_line
from spikelet.base.errors import NoSuchFile, SpikeletError
from spikelet.base.files import atomic_write
from spikelet.base.regular import read_regular
from spikelet.base.strict_json import shown
from spikelet.data import DataSplits
from spikelet.data.classes import check_class_names
from spikelet.recipes import RECIPES
from spikelet.train import TrainConfig
from spikelet.train.weights import first_line

FILE = "result.json"
MOST_BYTES = 1 << 24  # of the file
MOST_VALUES = 1 << 28  # of one sample
SOURCES = Path(__file__).parents[1]


@dataclasses.dataclass(frozen=True)
class Result:
    """A run's test accuracy, and what its packed file should say.

    test_accuracy: 0..1 by PyTorch evaluation of the last epoch; None where the data set has no test part.
    sample_shape: (C, H, W) or (T, C, H, W).
    commit: of spikelet, when this was measured; "" outside a checkout.
    """

    test_accuracy: float | None
    test_samples: int
    data: str
    note: str
    labels: tuple[str, ...]
    sample_shape: tuple[int, ...]
    commit: str

    def save(self, folder: Path) -> None:
        """Writes result.json into a run folder."""
        with atomic_write(folder / FILE) as file:
            file.write((json.dumps(dataclasses.asdict(self), indent=1) + "\n").encode())

    @property
    def about(self) -> str:
        """The data set in words: its name, and its note in brackets."""
        return f"{self.data} ({self.note})" if self.note else self.data


def result_of(data: DataSplits, accuracy: float | None) -> Result:
    """The result of a run on `data`."""
    train, test = data.train, data.test
    return Result(accuracy, len(test), train.name, test.note, train.labels, train.sample_shape, commit_of([SOURCES]))


def load_result(folder: Path) -> Result:
    """Reads result.json.

    Raises:
        NoSuchFile: there is none yet; says which command makes it.
        SpikeletError: it is not what `save` wrote.
    """
    path = folder / FILE
    if not path.exists():
        raise NoSuchFile(
            f"{path} does not exist: the run was not evaluated. Make it with: {command_line('eval', folder)}"
        )
    try:
        return _of_fields(json.loads(read_regular(path, MOST_BYTES)))
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError) as error:
        again = command_line("eval", folder)
        raise SpikeletError(f"{path} is damaged ({first_line(error)}). Make it again with: {again}") from error


def _of_fields(fields: dict[str, Any]) -> Result:
    """The result that `save` wrote as `fields`; each is of its type, so that what uses them does not fail later."""
    result = Result(
        **{
            **fields,
            "labels": check_class_names(fields["labels"], "labels"),
            "sample_shape": tuple(fields["sample_shape"]),
        }
    )
    words = (result.data, result.note, result.commit, *result.labels)
    numbers = (result.test_samples, *result.sample_shape)
    if not all(isinstance(word, str) for word in words) or not all(type(n) is int and n >= 0 for n in numbers):
        raise SpikeletError("a word or a number is missing")
    if len(result.sample_shape) not in (3, 4) or math.prod(result.sample_shape) > MOST_VALUES:
        raise SpikeletError(f"sample_shape is {shown(result.sample_shape)}")
    if not (result.test_accuracy is None or 0 <= result.test_accuracy <= 1):
        raise SpikeletError(f"test_accuracy is {shown(result.test_accuracy)}")
    return result


def recipe_of(config: TrainConfig) -> str:
    """The name of the recipe that returns `config`, or "" where it was changed by hand."""
    bits = {k: config.model_options[k] for k in ("weight_bits", "membrane_bits") if k in config.model_options}
    return next((name for name, make in RECIPES.items() if make(seed=config.seed, **bits) == config), "")
