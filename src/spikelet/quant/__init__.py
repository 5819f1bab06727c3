"""Weights to small integers."""

from spikelet.quant.binary import EDE as EDE
from spikelet.quant.binary import Binary as Binary
from spikelet.quant.binary import Clip as Clip
from spikelet.quant.quantizer import Coded as Coded
from spikelet.quant.quantizer import Quantizer as Quantizer
from spikelet.quant.uniform import FullPrecision as FullPrecision
from spikelet.quant.uniform import Uniform as Uniform
from spikelet.quant.uniform import quantizer_of as quantizer_of
