"""Smaller networks from trained ones."""

from spikelet.compress.channels import Channels as Channels
from spikelet.compress.channels import find_channels as find_channels
from spikelet.compress.errors import CompressionError as CompressionError
from spikelet.compress.surgery import remove_channels as remove_channels
