"""Texts that match a simple regular expression: literals, classes, groups, repeats.

A pattern gets here only after a real regular expression engine has accepted it.
"""

MAX_EXTRA = 64

_CLASSES = {"d": "0123456789", "w": "abcdefghijklmnopqrstuvwxyz0123456789_", "s": " "}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r"}


def match_pattern(pattern: str, shortest: int) -> str:
    """The shortest text of its kind for the pattern that is long enough, or the longest one.

    Raises ValueError for a pattern that isn't understood.
    """
    text = ""
    for extra in range(MAX_EXTRA):
        text = _Writer(pattern, extra).alternatives()
        if len(text) >= shortest:
            break
    return text


class _Writer:
    """Reads a pattern from left to right and writes a text for it; open repeats run longer."""

    def __init__(self, pattern: str, extra: int) -> None:
        self._pattern = pattern
        self._at = 0
        self._extra = extra

    def alternatives(self) -> str:
        """The text of the first of some alternatives, up to the closing bracket or the end."""
        first = self._sequence()
        while self._take("|"):
            self._sequence()
        return first

    def _sequence(self) -> str:
        text = ""
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            one = self._atom()
            low, high = self._repeat()
            text += one * min(high, low + self._extra)
        return text

    def _atom(self) -> str:
        char = self._next()
        if char in "^$":
            return ""
        if char == "(":
            if self._take("?") and not self._take(":"):
                raise ValueError("look-around and named groups are not understood")
            inner = self.alternatives()
            self._take(")")
            return inner
        if char == "[":
            return self._bracket()
        if char == "\\":
            return self._escape()[0]
        return "a" if char == "." else char

    def _escape(self) -> str:
        char = self._next()
        if char in _CLASSES:
            return _CLASSES[char]
        if char.isalnum() and char not in _CONTROLS:
            raise ValueError(f"\\{char} is not understood")
        return _CONTROLS.get(char, char)

    def _bracket(self) -> str:
        negated = self._take("^")
        members = ""
        while not self._take("]"):
            char = self._next()
            members += self._escape() if char == "\\" else char
            if self._pattern[self._at : self._at + 1] == "-":
                members += self._range(members[-1])
        if not negated:
            return members[0]
        return next(char for char in "a0 -_A" if char not in members)

    def _range(self, first: str) -> str:
        if self._pattern[self._at + 1 : self._at + 2] == "]":
            return ""
        self._at += 1
        return "".join(map(chr, range(ord(first), ord(self._next()) + 1)))

    def _repeat(self) -> tuple[int, int]:
        repeats = {"*": (0, MAX_EXTRA), "+": (1, MAX_EXTRA), "?": (0, 1)}
        char = self._pattern[self._at : self._at + 1]
        if char in repeats and char:
            self._at += 1
            return repeats[char]
        if not self._take("{"):
            return 1, 1
        end = self._pattern.index("}", self._at)
        low, comma, high = self._pattern[self._at : end].partition(",")
        self._at = end + 1
        return int(low), int(high) if high else MAX_EXTRA + int(low) if comma else int(low)

    def _next(self) -> str:
        self._at += 1
        return self._pattern[self._at - 1]

    def _take(self, char: str) -> bool:
        found = self._pattern[self._at : self._at + 1] == char
        self._at += found
        return found
