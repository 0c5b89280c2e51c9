"""The world's picture or the gallery's mosaic, and what is drawn over it: percepts, saliency maps."""
