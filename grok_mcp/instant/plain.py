"""Whether a start, or a message, is one whose answer is known before: to the letter, or not at all.

What is refused here is not wrong. The server itself reads it, and says what there is to say.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_ID_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:/")
_ADDRESS = frozenset(map(chr, range(33, 127))) - {"#", "?", '"', "'", "\\"}
_TEXTS = {"name", "version", "title", "description", "websiteUrl"}
_CAPABILITIES: Mapping[str, Mapping[str, type]] = {
    "roots": {"listChanged": bool},
    "sampling": {"context": dict, "tools": dict},
    "elicitation": {"form": dict, "url": dict},
}
_PREFIX = "io.modelcontextprotocol/"
_CARD_TYPE = "text/html;profile=mcp-app"
CAPABILITIES = _PREFIX + "clientCapabilities"
"""Where a request itself says what its client can do."""
_MAX_ID = 2**53


def plain_settings(environ: Mapping[str, str], forms: Mapping[str, Any], prefixes: tuple[str, ...]) -> bool:
    """Whether every setting in the environment has a value that is surely right and changes no answer."""
    seen = set()
    for name, value in environ.items():
        known = name.upper()
        if not value or not known.startswith(prefixes):
            continue
        if known in seen or known not in forms or not _has_form(value, forms[known]):
            return False
        seen.add(known)
    return True


def _has_form(value: str, form: Any) -> bool:
    if isinstance(form, list):  # one of these words, or a number between two
        if form and isinstance(form[0], int):
            return value.isascii() and value.isdigit() and form[0] <= int(value[:12]) <= form[1]
        return value in form
    if not value.isprintable() or value != value.strip() or value[0] in "\"'":
        return False
    if form == "address":
        scheme, _, rest = value.partition("://")
        return scheme in ("http", "https") and rest[:1] not in ("", "/") and _ADDRESS.issuperset(value)
    return form == "text" or (form == "path" and not value.startswith("~"))


def plain_id(value: object) -> str | None:
    """The id as JSON, None where it is an odd one."""
    if type(value) is int and -_MAX_ID < value < _MAX_ID:
        return str(value)
    if type(value) is str and 0 < len(value) <= 100 and _ID_CHARACTERS.issuperset(value):
        return f'"{value}"'
    return None


def plain_client(params: Mapping[str, Any], info: str, capabilities: str) -> bool:
    """Whether who the client is and what it can do stand there as the protocol has it."""
    who, can = params.get(info), params.get(capabilities)
    if type(who) is not dict or not {"name", "version"} <= who.keys() <= _TEXTS:
        return False
    if type(can) is not dict or any(type(text) is not str for text in who.values()):
        return False
    return all(map(_plain_capability, can.items()))


def shows_cards(capabilities: Mapping[str, Any]) -> bool:
    """Whether a client whose capabilities are plain declares MCP Apps, with the card's media type or none."""
    declared = capabilities.get("extensions", {}).get(_PREFIX + "ui")
    if declared is None:
        return False
    shown = declared.get("mimeTypes", [_CARD_TYPE])
    return type(shown) is list and _CARD_TYPE in shown


def _plain_capability(named: tuple[str, Any]) -> bool:
    name, value = named
    if type(value) is not dict:
        return False
    if name in ("experimental", "extensions"):
        return all(type(one) is dict for one in value.values())
    members = _CAPABILITIES.get(name)
    return members is not None and all(
        key in members and type(one) is members[key] for key, one in value.items()
    )


def plain_meta(meta: Mapping[str, Any]) -> bool:
    """Whether there is nothing in the `_meta` of a request but a token for progress."""
    return meta.keys() <= {"progressToken"} and all(plain_id(one) for one in meta.values())


def modern_version(meta: Mapping[str, Any]) -> str | None:
    """The version that a request itself names, where all is there that such a request needs."""
    own = {name: value for name, value in meta.items() if name.startswith(_PREFIX)}
    version = own.pop(_PREFIX + "protocolVersion", None)
    names = (_PREFIX + "clientInfo", CAPABILITIES)
    rest = {name: value for name, value in meta.items() if not name.startswith(_PREFIX)}
    if type(version) is str and own.keys() == set(names) and plain_client(own, *names) and plain_meta(rest):
        return version
    return None
