"""Interface of the viewer: shows and their moments, gestures and answers, gallery sources and gallery pages.

What implements it lives elsewhere (`scenes.watching`); what reads it is the rest of `sim.viewer`. Read
`show`, `moment`, `gesture`; `board` and `robot` for what these worlds add; for galleries `gallery_source` and
`gallery_page`.
"""
