"""Catalogue of perception models, of label sources by family of worlds, of readers by kind of input."""

PERCEPTIONS = {
    "board_reader": "supervised.vision.board_reader:BoardReader",
    "captioner": "supervised.vision.captioner:Captioner",
    "classifier": "supervised.vision.classifier:Classifier",
    "commentator": "supervised.vision.commentator:Commentator",
    "depth": "supervised.vision.depth:Depth",
    "detector": "supervised.vision.detector:Detector",
    "pose": "supervised.vision.pose:Pose",
    "regressor": "supervised.tables.regressor:Regressor",
    "segmenter": "supervised.vision.segmenter:Segmenter",
    "sound_classifier": "supervised.sound.sound_classifier:SoundClassifier",
}

SIGHTS = {
    "atari": "supervised.data.label_sources.atari:AtariLabels",
    "chess": "supervised.data.label_sources.chess:ChessLabels",
    "walker": "supervised.data.label_sources.walker:WalkerLabels",
}

#: Kind of input → reader of what a user gives, as in `supervised.data.readers`; pictures are read by scenes.
READERS = {
    "sound": "supervised.data.sources.audio_file:read_sounds",
    "table": "supervised.data.readers:read_rows",
    "text": "supervised.data.readers:read_lines",
}
