"""Panels beside the picture, a module each: `note`, `need`, `key` and `draw`.

`panels` lists them: value and return charts, `actions`, `perception_panel`, `training_panel`,
`samples_panel`, `foot_contact_panel` beside a world; `latent_sliders`, `neighbours_panel` and
`condition_panel` beside a gallery.
"""
