"""Catalogue of perception models, and of label sources for each family of worlds; see `sim.catalog`."""

PERCEPTIONS = {
    "board_reader": "supervised.vision.board_reader:BoardReader",
    "captioner": "supervised.vision.captioner:Captioner",
    "classifier": "supervised.vision.classifier:Classifier",
    "depth": "supervised.vision.depth:Depth",
    "detector": "supervised.vision.detector:Detector",
    "pose": "supervised.vision.pose:Pose",
    "segmenter": "supervised.vision.segmenter:Segmenter",
}

LABEL_SOURCES = {
    "atari": "supervised.data.label_sources.atari:AtariLabels",
    "chess": "supervised.data.label_sources.chess:ChessLabels",
    "walker": "supervised.data.label_sources.walker:WalkerLabels",
}
