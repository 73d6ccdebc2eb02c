"""Writes the characters that steer a terminal or break a line as escapes, as Python and JSON spell them."""

import re

from grok_mcp.redaction import INVISIBLE

_STEERING = re.compile(f"[\t\n\r\ud800-\udfff]|{INVISIBLE.pattern}")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def escaped(text: str) -> str:
    """The text in one line that does nothing to whoever shows it; JSON stays JSON of the same meaning."""
    return text if text.isascii() and text.isprintable() else _STEERING.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
