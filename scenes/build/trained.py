"""Whether a scene ships with trained weights."""

from __future__ import annotations

from scenes.schema import Scene


def is_trained(scene: Scene) -> bool:
    """Whether a scene has weights for everything that learns in it.

    An agent without a checkpoint may be one that has nothing to learn; where it lives on percepts, though,
    the scene is about that agent.
    """
    learned = [table.checkpoint for table in scene.perception if table.origin == "model"]
    learned += [table.checkpoint for table in scene.sampler]
    if scene.agent is not None:
        fed = any(table.feed == "agent" for table in scene.perception)
        learned += [scene.agent.checkpoint] if scene.agent.checkpoint or fed else []
    paths = [scene.resolve(path) if path else None for path in learned]
    return bool(paths) and all(path is not None and (path / "card.toml").is_file() for path in paths)
