"""Files that the window writes: videos, screenshots, texts."""
