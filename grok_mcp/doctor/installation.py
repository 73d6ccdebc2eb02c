"""Checks of what is installed, and of the optional parts that the environment asks for."""

import os
import platform
import stat
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from pydantic import SecretStr

from grok_mcp import __version__
from grok_mcp.doctor.findings import Check, doubtful, fine, wrong
from grok_mcp.redaction import quote

STRANGER = "grok-mcp"
"""A package of somebody else, which installs a command that is called as ours is."""

REDIS_S = 5.0


def check_installation() -> list[Check]:
    """Versions, and whether the stranger's package stands beside ours."""
    parts = [
        f"Python {platform.python_version()}",
        *(f"{name} {_version(name)}" for name in ("mcp", "httpx2")),
    ]
    checks = [fine("versions", f"grok-mcp-server {__version__}, {', '.join(parts)}")]
    if _version(STRANGER) != "?":
        checks.append(
            wrong(
                "package",
                f"the package {STRANGER}, which is somebody else's, is installed beside this one: both own "
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
    """Whether what the environment asks for is installed."""
    asked = sorted(
        name
        for name, value in os.environ.items()
        if name.startswith("OTEL_")
        and name.endswith(("_ENDPOINT", "_EXPORTER"))
        and value.strip().lower() not in ("", "none")
    )
    if not asked:
        return []
    if find_spec("opentelemetry.sdk") is None:
        return [
            doubtful(
                "telemetry",
                f"{asked[0]} asks for telemetry, which is not installed",
                "Run: pip install 'grok-mcp-server[otel]', or unset the variable.",
            )
        ]
    return [fine("telemetry", f"installed, and asked for by {', '.join(asked)}")]


async def check_redis(url: SecretStr) -> list[Check]:
    """Whether Redis answers."""
    from redis.asyncio import from_url
    from redis.exceptions import RedisError

    fix = "Start Redis, or correct or unset GROK_MCP_REDIS_URL."
    try:
        client = from_url(url.get_secret_value(), socket_connect_timeout=REDIS_S, socket_timeout=REDIS_S)
    except ValueError:
        return [wrong("redis", "its address can't be read", fix)]
    try:
        await client.ping()
    except (RedisError, OSError) as error:
        said = quote(f"{type(error).__name__} {error}", (url.get_secret_value(),))
        return [wrong("redis", f"no answer: {said}", fix)]
    finally:
        await client.aclose()
    return [fine("redis", "answers")]


def check_folder(name: str, folder: Path, fix: str) -> Check:
    """Whether files can be written in a folder, which need not exist yet."""
    there = next((one for one in (folder, *folder.parents) if one.exists()), folder)
    if not there.is_dir():
        return wrong(name, f"{there} is no folder", fix)
    if not os.access(there, os.W_OK | os.X_OK):
        return wrong(name, f"{there} can't be written to", fix)
    return fine(name, f"{folder} can be written to")


def readable_by_others(path: Path) -> bool:
    """Whether other users of this machine can read a file, as far as its mode says."""
    return os.name == "posix" and bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
