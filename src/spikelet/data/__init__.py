"""Data sets as bytes in memory, time first, with augmentation and an order that can be resumed."""

from spikelet.base import torch_needed as torch_needed
from spikelet.data.augment.augmentation import Augmentation as Augmentation
from spikelet.data.augment.augmentation import Compose as Compose
from spikelet.data.augment.augmentation import OneOf as OneOf
from spikelet.data.augment.events import DropFrames as DropFrames
from spikelet.data.augment.events import TimeShift as TimeShift
from spikelet.data.augment.events import neuromorphic as neuromorphic
from spikelet.data.augment.geometry import Cutout as Cutout
from spikelet.data.augment.geometry import HorizontalFlip as HorizontalFlip
from spikelet.data.augment.geometry import RandomCrop as RandomCrop
from spikelet.data.augment.geometry import Roll as Roll
from spikelet.data.augment.geometry import Rotate as Rotate
from spikelet.data.augment.geometry import ShearX as ShearX
from spikelet.data.augment.policies import AutoAugment as AutoAugment
from spikelet.data.augment.policies import TrivialAugment as TrivialAugment
from spikelet.data.batches import Batches as Batches
from spikelet.data.batches import Epoch as Epoch
from spikelet.data.batches import Share as Share
from spikelet.data.batches import batches as batches
from spikelet.data.load import load as load
from spikelet.data.load import names as names
from spikelet.data.samples import DataSplits as DataSplits
from spikelet.data.samples import Samples as Samples
from spikelet.data.split import stratified_split as stratified_split
