"""The verb sample: conditions, samples, the gallery on disk."""
