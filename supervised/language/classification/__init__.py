"""Text classification: n-grams averaged with small pretrained encoders; start with `text_classifier`."""
