"""Sound models: log-mel spectrograms and recurrent classifiers of music.

In: mono sound (T,) int16 at `supervised.data.sources.audio_file.RATE`. Out: a label with its probability.
"""
