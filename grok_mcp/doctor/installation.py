"""Checks of what is installed, and of the optional parts that the environment requests."""

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from pydantic import SecretStr

from grok_mcp import __version__
from grok_mcp.accounting import LedgerError, place_of, schema_version
from grok_mcp.doctor.findings import Check, doubtful, fine, wrong
from grok_mcp.redaction import quote

STRANGER = "grok-mcp"
"""A package of somebody else, which installs a command with the name of ours."""

REDIS_S = 5.0


def check_installation() -> list[Check]:
    """Versions, and whether the stranger's package is installed too."""
    parts = (f"{name} {_version(name)}" for name in ("mcp", "httpx2"))
    versions = [f"grok-mcp-server {__version__}", f"Python {platform.python_version()}", *parts]
    checks = [fine("versions", ", ".join(versions))]
    if _version(STRANGER) != "?":
        checks.append(
            wrong(
                "package",
                f"the package {STRANGER}, which is somebody else's, is installed too: both own "
                "the command grok-mcp, and a host that starts it may hand your key to the wrong program",
                f"Run: pip uninstall {STRANGER}; pip install --force-reinstall grok-mcp-server",
            )
        )
    return checks


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "?"


def check_extras() -> list[Check]:
    """Whether the extras that the environment requests are installed."""
    variables = sorted(
        name
        for name, value in os.environ.items()
        if re.fullmatch("OTEL_.*(_ENDPOINT|_EXPORTER)", name) and value.strip().lower() not in ("", "none")
    )
    if not variables:
        return []
    if find_spec("opentelemetry.sdk") is not None:
        return [fine("telemetry", f"installed, and requested by {', '.join(variables)}")]
    fix = "Run: pip install 'grok-mcp-server[otel]', or unset the variable."
    return [doubtful("telemetry", f"{variables[0]} requests telemetry, which is not installed", fix)]


async def check_redis(url: SecretStr) -> list[Check]:
    """Whether Redis answers."""
    from redis.asyncio import from_url  # an extra, which need not be installed
    from redis.exceptions import RedisError

    fix = "Start Redis, or correct or unset GROK_MCP_REDIS_URL."
    try:
        client = from_url(url.get_secret_value(), socket_connect_timeout=REDIS_S, socket_timeout=REDIS_S)
    except ValueError:
        return [wrong("redis", "its address can't be read", fix)]
    try:
        await client.ping()
    except (RedisError, OSError) as error:
        reason = quote(f"{type(error).__name__} {error}", (url.get_secret_value(),))
        return [wrong("redis", f"no answer: {reason}", fix)]
    finally:
        await client.aclose()
    return [fine("redis", "answers")]


def check_ledger(url: str) -> list[Check]:
    """Whether the ledger's Postgres takes us, and the version of its tables."""
    place = place_of(url)
    try:
        version = schema_version(url)
    except LedgerError as error:
        fix = "Start Postgres, or correct or unset GROK_MCP_LEDGER_URL."
        return [wrong("ledger", f"{place} can't be used: {error}", fix)]
    tables = f"version {version} of its tables" if version else "the first call makes its tables"
    return [fine("ledger", f"{place} answers; {tables}")]


def check_folder(name: str, folder: Path, fix: str) -> Check:
    """Whether files can be written in a folder, which need not exist yet."""
    present = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    if not present.is_dir():
        return wrong(name, f"{present} is not a folder", fix)
    if not os.access(present, os.W_OK | os.X_OK):
        return wrong(name, f"{present} can't be written to", fix)
    return fine(name, f"{folder} can be written to")
