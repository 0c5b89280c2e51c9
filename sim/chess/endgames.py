"""Named endgames with their pieces. Imports nothing: the catalogue lists them also without python-chess."""

STANDARD = "standard"

#: White's pieces, which are enough to win in general, and Black's. White moves first.
STARTS = {
    "kqk": ("KQ", "K"),
    "krk": ("KR", "K"),
    "krrk": ("KRR", "K"),
    "kpk": ("KP", "K"),  # some of these are drawn with best play
    "kbbk": ("KBB", "K"),
    "kbnk": ("KBN", "K"),
    "kqkr": ("KQ", "KR"),
}
