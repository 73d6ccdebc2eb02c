"""Makes foreign text safe to show: no secrets, no control or invisible characters, a bounded length.

Called wherever text that we did not write (error bodies, web titles, answers of a search) leaves us.
"""

import re

from grok_mcp import bounds

MIN_SECRET = 6
"""Anything shorter is not a key, and masking it would take ordinary words apart."""

_MASK = "***"
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_BEARER = r"(?i)\b(bearer|basic)\s+[^\s\"',;]+"
_NAMED = (
    r"(?i)((?:api[-_ ]?key(?: provided)?|authorization|password|secret|token)[\"']?\s*[:=]\s*[\"']?)"
    r"[^\s\"',;]{4,}"
)
_PREFIXED = r"\b(?:xai|sk|gsk|rk|pk|ghp|hf)[-_][A-Za-z0-9_\-]{6,}"
_JWT = r"\beyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]+)*"
_LONG = r"\b[A-Za-z0-9_\-]{32,}"

# C0 but tab, line feed and carriage return, C1, bidi controls, zero-width and word-joining characters,
# tag characters and supplementary variation selectors. The zero-width joiners U+200C and U+200D stay:
# several scripts and emoji are written with them.
INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e"
    "\u2060-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e01ef]"
)
_SLICE = 1 << 16  # characters of a text that are copied at once
_LONE = re.compile("[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]")


def mask_secrets(text: str) -> str:
    """Replace everything that looks like a key, a token or a bearer value."""
    text = re.sub(_BEARER, rf"\1 {_MASK}", text)
    text = re.sub(_NAMED, rf"\1{_MASK}", text)
    text = re.sub(_PREFIXED, _MASK, text)
    text = re.sub(_JWT, _MASK, text)
    return re.sub(_LONG, _masked, text)


def _masked(match: re.Match[str]) -> str:
    """A long word masked, unless it has no digits or no letters, or is a UUID, which hides nothing."""
    word = match[0]
    plain = not any(map(str.isdigit, word)) or not any(map(str.isalpha, word))
    return word if plain or re.fullmatch(_UUID, word) else _MASK


def join_surrogates(text: str) -> str:
    """Join surrogate pairs that were split by a foreign encoder; lone ones become U+FFFD."""
    if text.isascii() or not _has_surrogates(text):
        return text
    # A codec would call back for each lone one, which takes five times as long.
    text = "\ufffd".join(_LONE.split(text))
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")


def _has_surrogates(text: str) -> bool:
    """Whether UTF-8 can't carry the text; a codec sees that ten times as fast as an expression."""
    try:
        for start in range(0, len(text), _SLICE):
            text[start : start + _SLICE].encode()
    except UnicodeEncodeError:
        return True
    return False


def one_line(text: str) -> str:
    """The text without control and invisible characters, white space folded into single spaces."""
    return " ".join(INVISIBLE.sub(" ", join_surrogates(text)).split())


def quote(text: str, secrets: tuple[str, ...] = (), limit: int = bounds.QUOTED_CHARACTERS) -> str:
    """Foreign text fit for an error sentence: one line, secrets masked, at most `limit` characters."""
    for secret in secrets:
        if len(secret) >= MIN_SECRET:
            text = text.replace(secret, _MASK)
    text = mask_secrets(one_line(text[: 20 * limit]))
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
