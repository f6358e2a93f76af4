"""Video to learn from: clips in shards, and windows of them as batches."""

from corrwise.predictors.clips.clip import Clip, ClipSource
from corrwise.predictors.clips.folder import ClipFolder
from corrwise.predictors.clips.shard import BrokenShard, read_shard, write_shard
from corrwise.predictors.clips.windows import Batch, ClipWindows

__all__ = ["Batch", "BrokenShard", "Clip", "ClipFolder", "ClipSource", "ClipWindows", "read_shard", "write_shard"]
