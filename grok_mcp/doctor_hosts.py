"""Checks of the files in which hosts name the servers that they start: are we in there, and will that work.

`HOSTS` holds what is particular about each host; `doctor_entries.py` looks at one entry.
"""

import json
import os
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from grok_mcp.checks import Check, doubtful, fine, wrong
from grok_mcp.doctor_entries import KEYS, Host, Timeout, check_entry, is_ours, own_settings
from grok_mcp.keys import fault_of
from grok_mcp.redaction import quote

_CALLS = 300
"""Seconds that we advise as the time limit of a call."""

HOSTS: Mapping[str, Host] = {
    host.name: host
    for host in (
        Host(
            "claude-code",
            "Claude Code",
            expands=r"\$\{\w+(?::-[^}]*)?\}",
            passes_environment=True,
            timeouts=(Timeout("timeout", 0.001, _CALLS),),
            bare_url=('a "url" without "type" is refused', '"type": "http"'),
        ),
        Host("claude-desktop", "Claude Desktop"),
        Host("cursor", "Cursor", expands=r"\$\{env:\w+\}"),
        Host(
            "cline",
            "Cline",
            passes_environment=True,
            timeouts=(Timeout("timeout", 1, _CALLS, longest=3600, needed=True),),
            bare_url=('a "url" without "type" is taken for the older SSE', '"type": "streamableHttp"'),
        ),
        Host("vscode", "VS Code", expands=r"\$\{(?:env|input):[\w.-]+\}", comments=True),
        Host(
            "codex",
            "Codex",
            forwards="env_vars",
            timeouts=(Timeout("tool_timeout_sec", 1, _CALLS), Timeout("startup_timeout_sec", 1, 60)),
            ignored={"headers": "http_headers, or bearer_token_env_var"},
        ),
        Host(
            "gemini-cli",
            "Gemini CLI",
            expands=r"\$\w+|\$\{\w+\}",
            timeouts=(Timeout("timeout", 0.001, _CALLS),),
            comments=True,
            bare_url=('"url" is taken for the older SSE', '"httpUrl" in place of "url"'),
        ),
        Host(
            "windsurf",
            "Windsurf",
            expands=r"\$\{env:\w+\}",
            ignored={"url": "serverUrl"},
        ),
        Host("zed", "Zed", comments=True),
    )
}


def places(
    platform: str, home: Path, environment: Mapping[str, str], folder: Path
) -> Iterator[tuple[str, Path, tuple[str, ...]]]:
    """Where each host may name its servers: host, file, and the keys that lead to them in it."""
    servers = ("mcpServers",)
    if platform == "win32":
        data = Path(environment.get("APPDATA") or home / "AppData" / "Roaming")
    elif platform == "darwin":
        data = home / "Library" / "Application Support"
    else:
        data = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    claude = Path(environment.get("CLAUDE_CONFIG_DIR") or home)
    codex = Path(environment.get("CODEX_HOME") or home / ".codex")
    zed = data / "Zed" if platform == "win32" else home / ".config" / "zed"
    extension = data / "Code" / "User" / "globalStorage" / "saoudrizwan.claude-dev" / "settings"
    yield "claude-code", claude / ".claude.json", servers
    yield "claude-code", claude / ".claude.json", ("projects", str(folder), *servers)
    yield "claude-code", folder / ".mcp.json", servers
    yield "claude-desktop", data / "Claude" / "claude_desktop_config.json", servers
    yield "cursor", home / ".cursor" / "mcp.json", servers
    yield "cursor", folder / ".cursor" / "mcp.json", servers
    yield "cline", home / ".cline" / "data" / "settings" / "cline_mcp_settings.json", servers
    yield "cline", extension / "cline_mcp_settings.json", servers
    yield "vscode", data / "Code" / "User" / "mcp.json", ("servers",)
    yield "vscode", folder / ".vscode" / "mcp.json", ("servers",)
    yield "codex", codex / "config.toml", ("mcp_servers",)
    yield "codex", folder / ".codex" / "config.toml", ("mcp_servers",)
    yield "gemini-cli", home / ".gemini" / "settings.json", servers
    yield "gemini-cli", folder / ".gemini" / "settings.json", servers
    yield "windsurf", home / ".codeium" / "windsurf" / "mcp_config.json", servers
    yield "zed", zed / "settings.json", ("context_servers",)


class Found(NamedTuple):
    """An entry of ours, and the file that it stands in."""

    host: Host
    path: Path
    entry: Mapping[str, Any]
    document: Mapping[str, Any]


def check_hosts() -> list[Check]:
    """The findings about every host's file that is there."""
    found, checks = find_entries()
    for one in found:
        checks += _of_entry(one)
    if not found:
        fix = "Run: grok-mcp install HOST"
        checks.append(doubtful("hosts", "no host's file has an entry of this server", fix))
    return checks


def find_entries() -> tuple[list[Found], list[Check]]:
    """Our entries in all files that are there, and a finding for each file that can't be read."""
    found: list[Found] = []
    broken: dict[Path, Check] = {}
    for name, path, keys in dict.fromkeys(places(sys.platform, Path.home(), os.environ, Path.cwd())):
        if path in broken or not path.is_file():
            continue
        host = HOSTS[name]
        try:
            document = _read(path, host)
        except (OSError, ValueError, RecursionError) as error:
            broken[path] = _unreadable(host, path, error)
            continue
        found += [
            Found(host, path, entry, document)
            for key, entry in _servers(document, keys).items()
            if isinstance(entry, dict) and is_ours(key, entry)
        ]
    return found, list(broken.values())


def environment_of_a_host() -> tuple[str, dict[str, str]] | None:
    """The settings in the first entry that holds a key, with the title of its host."""
    for one in find_entries()[0]:
        given = own_settings(one.entry)
        if any(fault_of(given.get(name, "").strip()) is None for name in KEYS):
            return one.host.title, given
    return None


def _read(path: Path, host: Host) -> Mapping[str, Any]:
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".toml":
        return tomllib.loads(text)
    document = json.loads(_without_comments(text) if host.comments else text) if text.strip() else {}
    if not isinstance(document, dict):
        raise ValueError("the whole is no object")
    return document


_COMMENT = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_LAST_COMMA = re.compile(r'"(?:\\.|[^"\\])*"|,(?=\s*[}\]])')


def _without_comments(text: str) -> str:
    """JSON without the comments and last commas that some hosts allow; lines keep their numbers."""
    text = _COMMENT.sub(lambda m: m[0] if m[0].startswith('"') else "\n" * m[0].count("\n"), text)
    return _LAST_COMMA.sub(lambda m: m[0] if m[0].startswith('"') else "", text)


def _servers(document: Mapping[str, Any], keys: tuple[str, ...]) -> Mapping[str, Any]:
    found: Any = document
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _unreadable(host: Host, path: Path, error: Exception) -> Check:
    kind = "TOML" if path.suffix == ".toml" else "JSON"
    if isinstance(error, OSError):
        said, fix = error.strerror or type(error).__name__, "Give your user the right to read it."
    else:
        said = f"it is no {kind}: {quote(str(error))}"
        fix = f"Correct the {kind} at that place; {host.title} starts none of its servers until then."
    return wrong(f"host {host.name}", f"{path}: {said}", fix)


def _of_entry(found: Found) -> Iterator[Check]:
    name = f"host {found.host.name}"
    findings = list(check_entry(found.host, found.entry, found.document, os.environ))
    for finding in findings:
        make = wrong if finding.breaks else doubtful
        yield make(name, f"{found.path}: {finding.message}", finding.fix)
    if not findings:
        yield fine(name, f"{found.path}: the entry looks right")
