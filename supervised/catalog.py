"""Catalogue of perception models, of label sources by family of worlds, of readers by kind of input."""

PERCEPTIONS = {
    "alexnet": "supervised.vision.alexnet:AlexNet",
    "backpropagation": "supervised.tables.backpropagation:Backpropagation",
    "board_reader": "supervised.vision.board_reader:BoardReader",
    "captioner": "supervised.vision.captioner:Captioner",
    "classifier": "supervised.vision.classifier:Classifier",
    "commentator": "supervised.vision.commentator:Commentator",
    "depth": "supervised.vision.depth:Depth",
    "detector": "supervised.vision.detector:Detector",
    "graph_regressor": "supervised.graphs.graph_regressor:GraphRegressor",
    "language_model": "supervised.language.generation.language_model:LanguageModel",
    "lenet": "supervised.vision.lenet:LeNet",
    "perceptron": "supervised.tables.perceptron:Perceptron",
    "pose": "supervised.vision.pose:Pose",
    "preference_tuning": "supervised.language.tuning.preference_tuning:PreferenceTuning",
    "regressor": "supervised.tables.regressor:Regressor",
    "reward_model": "supervised.language.tuning.reward_model:RewardModel",
    "segmenter": "supervised.vision.segmenter:Segmenter",
    "signal_classifier": "supervised.tables.signal_classifier:SignalClassifier",
    "sound_classifier": "supervised.sound.sound_classifier:SoundClassifier",
    "text_classifier": "supervised.language.classification.text_classifier:TextClassifier",
    "translator": "supervised.language.translation.translator:Translator",
}

LABEL_SOURCES = {
    "atari": "supervised.data.label_sources.atari:AtariLabels",
    "chess": "supervised.data.label_sources.chess:ChessLabels",
    "walker": "supervised.data.label_sources.walker:WalkerLabels",
}

#: Kind of input → reader of what a user gives, as in `supervised.data.readers`; pictures are read by scenes.
READERS = {
    "graph": "supervised.data.molecule_reader:read_molecules",
    "sound": "supervised.data.sources.audio_file:read_sounds",
    "table": "supervised.data.readers:read_rows",
    "text": "supervised.data.readers:read_lines",
}
