"""Which channels of a model can only leave together, which may leave at once, and how they leave."""

from spikelet.compression.channels.find import OUTPUT as OUTPUT
from spikelet.compression.channels.find import Channels as Channels
from spikelet.compression.channels.find import Group as Group
from spikelet.compression.channels.find import LayerChannels as LayerChannels
from spikelet.compression.channels.find import find_channels as find_channels
from spikelet.compression.channels.keep_one import first_removable as first_removable
from spikelet.compression.channels.keep_one import in_line as in_line
from spikelet.compression.channels.keep_one import kept_of as kept_of
from spikelet.compression.channels.layers import WEIGHTED as WEIGHTED
from spikelet.compression.channels.layers import Weighted as Weighted
from spikelet.compression.channels.layers import loses_whole_groups as loses_whole_groups
from spikelet.compression.channels.remove import remove_channels as remove_channels
