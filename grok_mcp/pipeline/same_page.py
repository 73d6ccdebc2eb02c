"""When two addresses lead to the same page or post, as far as their text says.

Only to tell whether an address was met: what is shown of it stays as it came. In doubt two are the same, so
that a difference is never claimed that a reader would not see. Addresses are foreign, and come by the
thousand: what no real one has is left as it is.
"""

import re
import unicodedata
from urllib.parse import parse_qsl, unquote, urlsplit

from grok_mcp import bounds

_X = "x.com"
_X_HOSTS = (_X, "twitter.com", "mobile.twitter.com", "mobile.x.com", "m.twitter.com")
_POST = re.compile(r"/(?:i/(?:web/)?|[^/]+/)?status(?:es)?/(\d+)(?:/.*)?", re.IGNORECASE)
_ESCAPED = re.compile(r"\\([_*()~&#])")
_TRACKING = re.compile(
    r"utm_.*|mtm_.*|pk_.*|hsa_.*|_hs(?:enc|mi)|mc_[ce]id|mkt_tok|vero_(?:id|conv)|oly_(?:anon|enc)_id"
    r"|fbclid|gclid|gclsrc|dclid|[gw]braid|msclkid|yclid|ysclid|twclid|ttclid|li_fat_id|epik|igshid|igsh"
    r"|srsltid|ref_src|ref_url|__twitter_impression|guccounter|guce_.*|_openstat|s_kwcid|wickedid|cmpid|ocid",
    re.IGNORECASE,
)
"""Parameters that say where a reader came from. A bare `ref` or `source` may choose the page, and stays."""
_PORTS = {"http": 80, "https": 443}
_PARAMETERS = 40
"""Of a query that is looked into."""
_HOST_CHARACTERS = 100
"""Of a host whose letters are looked at; DNS takes 253."""


def page_key(url: str) -> str:
    """A text that is the same for all addresses of one page: without scheme, `www.`, fragment, slash at the
    end, tracking parameters, and whatever percent-encoding says in several ways. A post on X is its number.
    """
    if len(url) > bounds.URL_CHARACTERS:
        return url
    # Some models escape an address as HTML or Markdown has it.
    plain = _ESCAPED.sub(r"\1", url.replace("&amp;", "&"))
    try:
        parts = urlsplit(plain)
        host, port = site(parts.hostname or ""), parts.port
    except ValueError:
        return url
    if host == _X:
        if post := _POST.fullmatch(parts.path):
            return f"x.com/status/{post[1]}"
        path = parts.path.lower()
    else:
        path = parts.path
    place = host if port in (None, _PORTS.get(parts.scheme.lower())) else f"{host}:{port}"
    query = _query(parts.query)
    # An application in the browser has its pages behind `#/` or `#!`.
    fragment = parts.fragment if parts.fragment.startswith(("/", "!")) else ""
    return "\n".join((place, _path(path), *query, fragment))


def site(name: str) -> str:
    """A host that is the same for all its spellings, in letters or as DNS has them, and for all of X."""
    name = name.lower().rstrip(".").removeprefix("www.")
    if len(name) > _HOST_CHARACTERS:
        return name
    if "xn--" in name:
        name = ".".join(map(_letters, name.split(".")))
    if not name.isascii():
        name = unicodedata.normalize("NFKC", name)
    return _X if name in _X_HOSTS else name


def _letters(label: str) -> str:
    """A part of a host in its own letters."""
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except (UnicodeError, OverflowError):
        return label


def _query(query: str) -> list[str]:
    """The parameters that choose a page, in one order."""
    if query.count("&") >= _PARAMETERS:
        return [query]
    parameters = parse_qsl(query, keep_blank_values=True)
    return [f"{name}={value}" for name, value in sorted(parameters) if not _TRACKING.fullmatch(name)]


def _path(path: str) -> str:
    """The path decoded, without empty steps and those that lead back."""
    steps: list[str] = []
    for step in unicodedata.normalize("NFC", unquote(path)).split("/"):
        if step == "..":
            del steps[-1:]
        elif step not in ("", "."):
            steps.append(step)
    return "/".join(steps)
