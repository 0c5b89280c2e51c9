"""Interface of the viewer: shows and their moments, gestures and their answers, studios and gallery pages.

What implements it lives elsewhere (`scenes.watching`); what reads it is the rest of `sim.viewer`. Read
`show`, `moment`, `gesture`; for galleries `studio` and `gallery_page`.
"""
