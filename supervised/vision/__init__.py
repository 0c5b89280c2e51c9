"""Models that read pictures, one algorithm a file: config, network, loss, `fit`, `perceive`.

`detector`, `classifier`, `board_reader`, `captioner`; `segmenter`, `depth` and `pose` share `dense` and
`unet`.
"""
