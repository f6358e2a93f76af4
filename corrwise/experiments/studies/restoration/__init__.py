"""The table of restored videos: how consistent and how good frames are with each noise carrier and with guidance."""
