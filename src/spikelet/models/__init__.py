"""Networks of the published systems."""

from spikelet.models.catalogue import create_model as create_model
from spikelet.models.catalogue import list_models as list_models
from spikelet.models.qsnn import qsnn_resnet19 as qsnn_resnet19
from spikelet.models.qsnn import qsnn_vgg_s as qsnn_vgg_s
from spikelet.models.qsnn import qsnn_vggsnn as qsnn_vggsnn
