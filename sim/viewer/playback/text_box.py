"""Text box of the window while a person types: its text, words that are unknown, and completions."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

MOST = 6  # completions

_WORD = re.compile(r"\d|[^\W\d_]+(?:['-][^\W\d_]+)*")


@dataclass(frozen=True, slots=True)
class TextBox:
    """A line that is being typed.

    Attributes:
        prompt: what is asked for.
        text: typed so far; the cursor is at its end.
        hint: keys and limits, in words.
        words: the vocabulary, in small letters; empty where any word will do.
        examples: sentences that show which word may follow which.
        trouble: why the text was not taken; "" if it was not refused.
    """

    prompt: str
    text: str = ""
    hint: str = ""
    words: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    trouble: str = ""

    @property
    def unknown(self) -> tuple[tuple[int, int], ...]:
        """Start and end of each word that the vocabulary lacks, but for one that can still become known.

        >>> box = TextBox("prompt", "the bal is green", words=("the", "ball", "is", "high"))
        >>> [box.text[start:end] for start, end in box.unknown]
        ['bal', 'green']
        >>> replace(box, text="the bal").unknown
        ()
        """
        if not self.words:
            return ()
        found = [m for m in _WORD.finditer(self.text) if m[0].lower() not in self.words]
        return tuple(m.span() for m in found if m.end() < len(self.text) or not self.completions)

    @property
    def completions(self) -> tuple[str, ...]:
        """Words that may stand at the end: those that follow there in an example first.

        >>> box = TextBox("prompt", "the b", words=("ball", "bat", "the"), examples=("The bat is high.",))
        >>> box.completions, replace(box, text="the ball").completions
        (('bat', 'ball'), ())
        """
        begun = self._begun.lower()
        before = [word.lower() for word in _WORD.findall(self.text[: len(self.text) - len(begun)])][-1:]
        following = [word for pair in self._pairs for word in pair[1:] if pair[:1] == tuple(before)]
        likely = sorted(dict.fromkeys(following), key=lambda word: -following.count(word))
        if begun:
            likely += [word for word in self.words if word not in likely]
        known = [word for word in likely if word in self.words and word[0].isalnum()]
        fitting = [word for word in known if word.startswith(begun) and word != begun]
        return () if begun in self.words else tuple(fitting[:MOST])

    @property
    def _pairs(self) -> list[tuple[str, ...]]:
        """Each word of the examples with the one that follows."""
        pairs: list[tuple[str, ...]] = []
        for example in self.examples:
            words = _WORD.findall(example.lower())
            pairs += [(first, second) for first, second in zip(words, words[1:], strict=False)]
        return pairs

    @property
    def _begun(self) -> str:
        """The word at the end that is being typed; "" after a space."""
        last = list(_WORD.finditer(self.text))[-1:]
        return last[0][0] if last and last[0].end() == len(self.text) else ""

    def completed(self) -> TextBox:
        """With the first completion in the place of the word that is being typed."""
        if not self.completions:
            return self
        kept = self.text[: len(self.text) - len(self._begun)]
        return replace(self, text=f"{kept}{self.completions[0]} ", trouble="")

    @property
    def number(self) -> float | None:
        """The text as a number; None if it is none.

        >>> TextBox("ball y", "−1,5").number, TextBox("ball y", "high").number
        (-1.5, None)
        """
        try:
            value = float(self.text.strip().replace("−", "-").replace(",", "."))
        except ValueError:
            return None
        return value if math.isfinite(value) else None
