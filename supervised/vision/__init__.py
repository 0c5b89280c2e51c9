"""Models that read pictures: classification, detection, segmentation, depth, pose, boards, captions."""
