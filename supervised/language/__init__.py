"""Models that read and write text, one room a system of the lecture.

`attention`, `subwords` and `text_encoder` are what they share. Rooms: `classification` (reviews),
`translation`, `generation` (a language model of chess games) and `tuning` (by preferences, on top of it).
"""
