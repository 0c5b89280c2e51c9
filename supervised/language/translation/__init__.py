"""Machine translation: a transformer beside a phrase table, beam search; start with `translator`."""
