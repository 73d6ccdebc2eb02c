"""Links that open a host with our server filled in, in the form that each host documents."""

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from project import KEY, SERVER, TITLE, Project

NO_KEY = "xai-your-key-here"
"""For hosts that read no variables: the server knows this text as a key that is still to be filled in."""


def links(project: Project) -> Mapping[str, str]:
    """The link of each host, by the host's name."""

    def server(key: str, **more: str) -> dict[str, Any]:
        return {**more, **project.command, "env": {KEY: key}}

    ask = [{"type": "promptString", "id": "xai_api_key", "description": "xAI API key", "password": True}]
    return {
        "Cursor": _link(
            "https://cursor.com/en/install-mcp", name=SERVER, config=_base64(server(f"${{env:{KEY}}}"))
        ),
        "VS Code": _link(
            "https://vscode.dev/redirect/mcp/install",
            name=SERVER,
            config=_json(server("${input:xai_api_key}", type="stdio")),
            inputs=_json(ask),
        ),
        "LM Studio": _link("https://lmstudio.ai/install-mcp", name=SERVER, config=_base64(server(NO_KEY))),
        "Kiro": _link("https://kiro.dev/launch/mcp/add", name=TITLE, config=_json(server(f"${{{KEY}}}"))),
        "Goose": _link(
            "goose://extension",
            cmd=project.command["command"],
            arg=project.name,
            timeout="600",
            id=SERVER,
            name=TITLE,
            description=project.summary,
            env=f"{KEY}=xAI API key",
        ),
    }


def _link(address: str, **parameters: str) -> str:
    encoded = [f"{name}={quote(value, safe='')}" for name, value in parameters.items()]
    return f"{address}?{'&'.join(encoded)}"


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _base64(value: Any) -> str:
    return base64.b64encode(_json(value).encode()).decode()
