"""Networks of the published systems."""

from spikelet.base import torch_needed as torch_needed
from spikelet.models.catalogue import create_model as create_model
from spikelet.models.catalogue import list_models as list_models
from spikelet.models.catalogue import register_model as register_model
from spikelet.models.qpsnn import qpsnn_resnet18 as qpsnn_resnet18
from spikelet.models.qpsnn import qpsnn_resnet20 as qpsnn_resnet20
from spikelet.models.qpsnn import qpsnn_vgg16 as qpsnn_vgg16
from spikelet.models.qpsnn import qpsnn_vggsnn as qpsnn_vggsnn
from spikelet.models.qsnn import qsnn_resnet19 as qsnn_resnet19
from spikelet.models.qsnn import qsnn_vgg_s as qsnn_vgg_s
from spikelet.models.qsnn import qsnn_vggsnn as qsnn_vggsnn
