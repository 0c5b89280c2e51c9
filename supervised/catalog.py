"""Catalogue of perception models, and of label sources for each family of worlds; see `sim.catalog`."""

PERCEPTIONS = {
    "board_reader": "supervised.board_reader:BoardReader",
    "captioner": "supervised.captioner:Captioner",
    "classifier": "supervised.classifier:Classifier",
    "depth": "supervised.depth:Depth",
    "detector": "supervised.detector:Detector",
    "pose": "supervised.pose:Pose",
    "segmenter": "supervised.segmenter:Segmenter",
}

SIGHTS = {
    "atari": "supervised.sights.atari:AtariSight",
    "chess": "supervised.sights.chess:ChessSight",
    "walker": "supervised.sights.walker:WalkerSight",
}
