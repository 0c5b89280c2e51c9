"""Files that the viewer writes: videos, screenshots and texts, played episodes."""
