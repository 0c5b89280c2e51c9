"""Names of the worlds of `linear_world`, found beside it."""


def world_names():
    return ["linear/slide", "linear/drift"]
