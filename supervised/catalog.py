"""The perception models by name, and what each family of worlds shows them; see `sim.catalog`."""

PERCEPTIONS = {
    "detector": "supervised.detector:Detector",
}

SIGHTS = {
    "atari": "supervised.sights.atari:AtariSight",
    "chess": "supervised.sights.chess:ChessSight",
    "walker": "supervised.sights.walker:WalkerSight",
}
