"""The perception models by name; see `sim.catalog` for how a name is looked up."""

PERCEPTIONS = {
    "detector": "supervised.detector:Detector",
}
