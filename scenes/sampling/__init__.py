"""The verb ``sample``: conditions from the command line, samples, the gallery on disk."""
