"""spikelet: train, compress and deploy spiking networks; what you evaluate is what you deploy."""

from spikelet.models import create_model as create_model
from spikelet.models import list_models as list_models
