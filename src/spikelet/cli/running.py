"""`spikelet run`: pictures, sounds and arrays through the native integer program; classes, logits and scores out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from spikelet.base.errors import SpikeletError
from spikelet.cli.deployed import deployed
from spikelet.cli.images import Picture, Wanted, pictures_of
from spikelet.cli.inputs import STDIN
from spikelet.cli.listing import Csv, JsonLines, Listing, Tables
from spikelet.cli.options import RunOptions
from spikelet.cli.outputs import require_file
from spikelet.cli.polarity import Polarity
from spikelet.cli.predicting import Classifier
from spikelet.cli.printing import hint
from spikelet.cli.quiet import is_quiet

TOP, TOP_OF_CSV = 5, 1  # classes of a sample


def run(model: str, words: Sequence[str], options: RunOptions) -> None:
    """Prints what the network says of each sample that `words` name.

    Raises:
        ValueError, OSError, ImportError: the model or an input can't be read, or a file can't be written.
    """
    listings = _listings(model, words, options)
    graph = deployed(model)
    wanted = Wanted.by(graph, options.ground, options.axes, options.invert)
    polarity = Polarity(graph.meta if not options.invert else {})
    classifier = Classifier(graph, options.threads, options.top or TOP)
    for prediction in classifier.predictions(_looked_at(pictures_of(words, wanted), polarity)):
        for listing in listings:
            listing.add(prediction)
    for listing in listings:
        listing.finish()
    if polarity.remark:
        hint(polarity.remark)


def _listings(model: str, words: Sequence[str], options: RunOptions) -> list[Listing]:
    """What was asked for; a table where nothing else is printed."""
    if options.csv and options.csv != STDIN:
        require_file(Path(options.csv), [Path(word) for word in (model, *words) if word != STDIN], "--csv")
    if options.csv == STDIN and options.as_json:
        raise SpikeletError("--json and --csv - both print: choose one, or give --csv a file.")
    to_csv: list[Listing] = [Csv(options.csv, options.top or TOP_OF_CSV)] if options.csv else []
    if options.as_json:
        return [JsonLines(), *to_csv]
    if options.csv == STDIN:
        return to_csv
    return [Tables(options.top is not None, is_quiet()), *to_csv]


def _looked_at(pictures: Iterator[Picture], polarity: Polarity) -> Iterator[Picture]:
    for picture in pictures:
        polarity.look_at(picture)
        yield picture
