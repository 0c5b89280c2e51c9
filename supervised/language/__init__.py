"""Models that read and write text: classification by transformer encoders, a language model of chess games.

Reading order: `attention`, `text_encoder` and `text_classifier` (reviews); `notation`, `gpt`, `decoding` and
`language_model` (games). `ngram_features` and `ngram_language_model` are what they are set beside.
"""
