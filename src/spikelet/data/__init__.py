"""Data sets as bytes in memory, time first, with augmentation and an order that can be resumed."""

from spikelet.base import torch_needed as torch_needed
from spikelet.data.augmentation import Augmentation as Augmentation
from spikelet.data.augmentation import Compose as Compose
from spikelet.data.augmentation import OneOf as OneOf
from spikelet.data.batches import Batches as Batches
from spikelet.data.batches import Epoch as Epoch
from spikelet.data.batches import Share as Share
from spikelet.data.batches import batches as batches
from spikelet.data.event_augmentation import DropFrames as DropFrames
from spikelet.data.event_augmentation import TimeShift as TimeShift
from spikelet.data.event_augmentation import neuromorphic as neuromorphic
from spikelet.data.geometry import Cutout as Cutout
from spikelet.data.geometry import HorizontalFlip as HorizontalFlip
from spikelet.data.geometry import RandomCrop as RandomCrop
from spikelet.data.geometry import Roll as Roll
from spikelet.data.geometry import Rotate as Rotate
from spikelet.data.geometry import ShearX as ShearX
from spikelet.data.load import load as load
from spikelet.data.load import names as names
from spikelet.data.policies import AutoAugment as AutoAugment
from spikelet.data.policies import TrivialAugment as TrivialAugment
from spikelet.data.samples import DataSplits as DataSplits
from spikelet.data.samples import Samples as Samples
from spikelet.data.split import stratified_split as stratified_split
