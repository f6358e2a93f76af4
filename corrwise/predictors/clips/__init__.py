"""Video to learn from: clips in shards, and windows of them as batches."""

from corrwise.predictors.clips.ahead import BatchesAhead
from corrwise.predictors.clips.caltech import caltech_pedestrian
from corrwise.predictors.clips.cityscapes import cityscapes_sequences
from corrwise.predictors.clips.clip import Clip, ClipSource
from corrwise.predictors.clips.folder import ClipFolder
from corrwise.predictors.clips.image_sequences import ImageFiles, ImageSequences
from corrwise.predictors.clips.kitti import kitti_raw
from corrwise.predictors.clips.shard import BrokenShard, read_shard
from corrwise.predictors.clips.shard_writer import write_shard
from corrwise.predictors.clips.windows import Batch, ClipWindows

__all__ = [
    "Batch",
    "BatchesAhead",
    "BrokenShard",
    "Clip",
    "ClipFolder",
    "ClipSource",
    "ClipWindows",
    "ImageFiles",
    "ImageSequences",
    "caltech_pedestrian",
    "cityscapes_sequences",
    "kitti_raw",
    "read_shard",
    "write_shard",
]
