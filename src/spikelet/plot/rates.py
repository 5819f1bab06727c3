"""How often neurons fire, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikelet.base.errors import SpikeletError
from spikelet.plot.style import BLUE, FAINT, drawing
from spikelet.profiling.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def firing_rates(report: Report, *, ax: Axes | None = None) -> Axes:
    """Spikes a neuron and time step, a bar a layer from the first at the top, as Axes.

        report = spikelet.profile(model, images)
        firing_rates(report)

    The dashed line is the mean over all neurons. A neuron with several levels counts every spike, so that its rate may
    lie above 1.

    Args:
        report: of `spikelet.profile` or `spikelet.profiling.profile_graph`.
        ax: the Axes to draw on; None makes a figure.
    Raises:
        SpikeletError: `report` is no profile.
        MissingLibrary: matplotlib is not installed.
    """
    if not isinstance(report, Report):
        raise SpikeletError(
            f"report must be a profile, got {type(report).__name__}. Make one: spikelet.profile(model, batches), or "
            "spikelet.profiling.profile_graph(graph, x)."
        )
    layers, mean = report.neurons, report.total.output_rate
    with drawing(ax, (7, 1.2 + 0.3 * len(layers))) as axes:
        places = range(len(layers))
        bars = axes.barh(places, [layer.output_rate for layer in layers], color=BLUE, height=0.65)
        axes.bar_label(bars, labels=[f" {layer.output_rate:.3f}" for layer in layers], fontsize=9)
        axes.set_yticks(places, [layer.name for layer in layers])
        axes.invert_yaxis()
        axes.axvline(mean, color=FAINT, linestyle="--", linewidth=1)
        axes.set(xlabel="spikes a neuron and time step", title=f"{report.model}: {mean:.3f} in the mean")
        axes.margins(x=0.12)
        axes.tick_params(axis="y", length=0)
    return axes
