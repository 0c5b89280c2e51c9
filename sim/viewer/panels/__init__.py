"""The panels beside the picture, a module each."""
