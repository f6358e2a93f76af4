"""Training data: clips, stored in shards, and batches of their windows."""

from corrwise.predictors.data.clip import Clip, ClipSource
from corrwise.predictors.data.datasets.caltech import caltech_pedestrian
from corrwise.predictors.data.datasets.cityscapes import cityscapes_sequences
from corrwise.predictors.data.datasets.image_sequences import ImageFiles, ImageSequences
from corrwise.predictors.data.datasets.kitti import kitti_raw
from corrwise.predictors.data.datasets.vimeo import vimeo_septuplets
from corrwise.predictors.data.folder import ClipFolder
from corrwise.predictors.data.formats.shard_writer import write_shard
from corrwise.predictors.data.formats.shards import BrokenShard, read_shard
from corrwise.predictors.data.windows import Batch, BatchesAhead, ClipWindows

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
    "vimeo_septuplets",
    "write_shard",
]
