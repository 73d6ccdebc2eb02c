"""Where a ledger is, for people: a file, or host and database of one in Postgres."""

from urllib.parse import parse_qs, urlsplit

from grok_mcp.accounting.records import ledger_path
from grok_mcp.settings import Settings


def ledger_place(settings: Settings) -> str:
    """The file, or host and database. Raises RuntimeError where there is no folder for the file."""
    url = settings.ledger_url
    return str(ledger_path(settings.state_dir)) if url is None else place_of(url.get_secret_value())


def place_of(url: str) -> str:
    """Host and database of its address, which are no secrets."""
    parts = urlsplit(url.strip())
    host = parts.netloc.rpartition("@")[2] or next(iter(parse_qs(parts.query).get("host", ())), "")
    return f"{host}{parts.path}"
