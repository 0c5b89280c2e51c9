"""Language models: a GPT of chess moves or characters, decoding, n-grams; start with `language_model`."""
