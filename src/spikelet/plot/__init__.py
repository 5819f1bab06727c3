"""Pictures of networks at work: spikes, learning, confusion, firing rates. Each returns the matplotlib Axes.

    ax = spikelet.plot.raster(graph, images)                   what fired when, of a graph, a program or a model
    ax = spikelet.plot.learning_curve("runs/digits")           accuracy by epoch, of a run's folder or a history
    ax = spikelet.plot.confusion_matrix(labels, predictions)   which classes are taken for which
    ax = spikelet.plot.firing_rates(report)                    spikes a neuron and step, by layer of a profile

Every function takes `ax=`, the Axes to draw on; without it there is a new figure of pyplot, so that a notebook shows it
and `ax.figure.savefig("picture.png")` keeps it. matplotlib is the extra `plot`, imported when something is drawn; only
what is drawn of a PyTorch model or a run needs PyTorch.
"""

from spikelet.plot.confusion import confusion_matrix as confusion_matrix
from spikelet.plot.learning import learning_curve as learning_curve
from spikelet.plot.raster import raster as raster
from spikelet.plot.rates import firing_rates as firing_rates
