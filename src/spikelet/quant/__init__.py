"""Weights to small integers."""

from spikelet.base import torch_needed as torch_needed
from spikelet.quant.binary import EDE as EDE
from spikelet.quant.binary import Binary as Binary
from spikelet.quant.binary import Clip as Clip
from spikelet.quant.binary import Straight as Straight
from spikelet.quant.by_bits import quantizer_of as quantizer_of
from spikelet.quant.learned_step import LearnedStep as LearnedStep
from spikelet.quant.quantizer import Coded as Coded
from spikelet.quant.quantizer import LayerQuantizer as LayerQuantizer
from spikelet.quant.quantizer import Quantizer as Quantizer
from spikelet.quant.quantizer import QuantizerSpec as QuantizerSpec
from spikelet.quant.rescaled import AmplifiedGradient as AmplifiedGradient
from spikelet.quant.rescaled import Gamma as Gamma
from spikelet.quant.rescaled import MaskedGradient as MaskedGradient
from spikelet.quant.rescaled import MaxAbs as MaxAbs
from spikelet.quant.rescaled import MeanAbs as MeanAbs
from spikelet.quant.rescaled import Percentile as Percentile
from spikelet.quant.rescaled import ReScaW as ReScaW
from spikelet.quant.rescaled import Unit as Unit
from spikelet.quant.rescaled import WideMeanAbs as WideMeanAbs
from spikelet.quant.uniform import FullPrecision as FullPrecision
from spikelet.quant.uniform import Uniform as Uniform
