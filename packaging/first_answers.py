"""Writes down what a server on stdio answers first, by asking one; and under which settings it answers so.

See `grok_mcp/instant/`. A test compares what stands there with what a server says today.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from grok_mcp.environment import variables_of
from grok_mcp.gateways import GATEWAYS
from grok_mcp.instant import ANSWERS, MAY_CHANGE, PLAIN, WITH_CARDS
from grok_mcp.server.connection import APPS_EXTENSION, CARD_TYPE
from grok_mcp.settings import Settings

LISTS = ("tools/list", "prompts/list", "resources/list", "resources/templates/list")
CLIENT = {"name": "first-answers", "version": "1"}
LARGEST = 10**9

FORMS: Mapping[str, Any] = {
    **dict.fromkeys(("xai_api_key", "api_key", "model"), "text"),
    **dict.fromkeys(("api_key_file", "state_dir"), "path"),
    "base_url": "address",
    "gateway": [name for name, one in GATEWAYS.items() if one.base_url and name != "sandbox"],
    "results": ["text"],
    "card": ["auto"],
    "transport": ["stdio"],
    "wait": [1, LARGEST],
}
"""Settings whose form does not follow from their type, or of which only some values change no answer."""
NOT_PLAIN = (
    "workers",
    "port",
    "keep_alive",
    "session_idle",
    "sessions_per_caller",
    "max_body_bytes",
    "sticky",
)
"""Those of the network: nobody sets them here."""


def asked(version: str) -> dict[str, Any]:
    """The results of a server on stdio for that version, by method."""
    shows = {"extensions": {APPS_EXTENSION: {"mimeTypes": [CARD_TYPE]}}}
    return _asked(version, {}) | {WITH_CARDS: _asked(version, shows)["tools/list"]}


def _asked(version: str, capabilities: Mapping[str, Any]) -> dict[str, Any]:
    meta: dict[str, Any] = {}
    first = {
        "method": "initialize",
        "params": {"protocolVersion": version, "capabilities": capabilities, "clientInfo": CLIENT},
    }
    methods = ["ping", *LISTS]
    if version in MODERN_PROTOCOL_VERSIONS:
        named = {"protocolVersion": version, "clientInfo": CLIENT, "clientCapabilities": capabilities}
        meta = {"_meta": {f"io.modelcontextprotocol/{name}": value for name, value in named.items()}}
        first = {"method": "server/discover", "params": meta}
        methods = [*LISTS, "skills/list"]
    requests = [first, *({"method": method, "params": meta} for method in methods)]
    lines = [json.dumps({"jsonrpc": "2.0", "id": number, **one}) for number, one in enumerate(requests)]
    plain = {name: value for name, value in os.environ.items() if not name.upper().startswith(MAY_CHANGE)}
    said = subprocess.run(
        [sys.executable, "-m", "grok_mcp", "serve"],
        input="\n".join(lines) + "\n",
        capture_output=True,
        encoding="utf-8",
        env=plain,
        check=True,
    ).stdout
    answers = {answer["id"]: answer["result"] for answer in map(json.loads, said.splitlines())}
    return {str(one["method"]): answers[number] for number, one in enumerate(requests)}


def settings() -> dict[str, Any]:
    """Variable → the form of values that are right, and change none of these answers."""
    forms = {}
    for name, field in Settings.model_fields.items():
        form = FORMS.get(name) or _form(field)
        if form is not None and name not in NOT_PLAIN:
            forms.update(dict.fromkeys(variables_of(name), form))
    return forms


def _form(field: Any) -> Any:
    kinds = [field.annotation, *get_args(field.annotation)]
    for kind in kinds:
        if get_origin(kind) is Literal:
            return list(get_args(kind))
    if not {int, float}.intersection(kinds):
        return None
    bounds = {
        name: getattr(one, name)
        for one in field.metadata
        for name in ("ge", "gt", "le")
        if hasattr(one, name)
    }
    return [bounds.get("ge", bounds.get("gt", 0) + 1), bounds.get("le", LARGEST)]


def derived() -> dict[str, Any]:
    """The contents of all files, by path."""
    sessions, requests = list(HANDSHAKE_PROTOCOL_VERSIONS), list(MODERN_PROTOCOL_VERSIONS)
    files: dict[str, Any] = {
        PLAIN: {"versions": {"sessions": sessions, "requests": requests}, "settings": settings()}
    }
    return files | {f"{ANSWERS}/{version}.json": asked(version) for version in (*sessions, *requests)}


if __name__ == "__main__":
    for path, contents in derived().items():
        text = json.dumps(contents, indent=1, ensure_ascii=False)
        Path(path).write_text(text + "\n", encoding="utf-8")
