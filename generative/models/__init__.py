"""Generative models, one algorithm a file: config, network, loss, `fit`, `sample`.

`vae`, `gan`, `flow` (vectors, by zuko), `image_flow` (pictures), `deepcluster`.
"""
