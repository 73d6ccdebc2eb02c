"""Writes every file that describes the project to registries and hosts; each fact has one source.

`make listings` runs it after a change of version, owner, tools or settings; a test compares what it would
write. To list the project in one more place, add a function here and its path in `listings`.
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from links import links
from project import GITHUB, KEY, ROOT, SERVER, TITLE, Project, read_project, variable

from grok_mcp.skills import load_skills
from grok_mcp.tools import TOOLS

SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
OFFERED = ("xai_api_key", "base_url", "gateway", "model", "reasoning_effort")
"""The settings that a registry offers; the README lists all."""
CONSOLE = "https://console.x.ai"
PRIVACY = "https://x.ai/legal/privacy-policy"
CALL_MS = 600_000
SKILLS = "packaging/claude-plugin/skills"


def server_json(project: Project) -> dict[str, Any]:
    """The entry in the official registry."""
    return {
        "$schema": SCHEMA,
        "name": project.server_name,
        "title": TITLE,
        "description": project.summary,
        "version": project.version,
        "repository": {"url": project.repository, "source": "github"},
        "websiteUrl": f"{project.repository}#readme",
        "icons": [
            {"src": project.raw("packaging/icon.png"), "mimeType": "image/png", "sizes": ["512x512"]},
            {"src": project.raw("packaging/icon.svg"), "mimeType": "image/svg+xml", "sizes": ["any"]},
        ],
        "packages": [
            {
                "registryType": "pypi",
                "registryBaseUrl": "https://pypi.org",
                "identifier": project.name,
                "version": project.version,
                "runtimeHint": project.command["command"],
                "transport": {"type": "stdio"},
                "environmentVariables": [_registry_variable(field) for field in OFFERED],
            }
        ],
    }


def _registry_variable(field: str) -> dict[str, Any]:
    setting = variable(field)
    entry: dict[str, Any] = {"name": setting.name, "description": setting.description, "format": "string"}
    if setting.choices:
        entry["choices"] = setting.choices
    if setting.name == KEY:
        entry |= {"isRequired": True, "isSecret": True}
    return entry


def bundle_manifest(project: Project) -> dict[str, Any]:
    """The manifest of the bundle for Claude Desktop; `bundle.py` puts the code beside it."""
    optional = {
        field: {
            "type": "string",
            "title": title,
            "description": variable(field).description,
            "required": False,
            "default": "",
        }
        for field, title in (("base_url", "Endpoint"), ("model", "Model"))
    }
    return {
        "manifest_version": "0.4",
        "name": project.name,
        "display_name": TITLE,
        "version": project.version,
        "description": project.summary,
        "long_description": (
            "Ask Grok for a second opinion, let it search the web and X with citations, or have it fill "
            "your JSON schema. Every answer says what it cost. Needs an API key of xAI or of a gateway."
        ),
        "author": {"name": project.author, "url": project.repository},
        "repository": {"type": "git", "url": f"{project.repository}.git"},
        "homepage": project.repository,
        "documentation": f"{project.repository}#readme",
        "support": f"{project.repository}/issues",
        "icon": "icon.png",
        "server": {
            "type": "uv",
            "entry_point": "main.py",
            "mcp_config": {
                "command": "uv",
                "args": ["run", "--directory", "${__dirname}", "main.py"],
                "env": {
                    KEY: "${user_config.api_key}",
                    **{variable(field).name: f"${{user_config.{field}}}" for field in optional},
                },
            },
        },
        "tools": [{"name": tool.name, "description": tool.description} for tool in TOOLS.values()],
        "keywords": list(project.keywords),
        "license": project.license,
        "privacy_policies": [PRIVACY],
        "compatibility": {
            "platforms": ["darwin", "win32", "linux"],
            "runtimes": {"python": project.requires_python},
        },
        "user_config": {"api_key": _key_option(required=True), **optional},
    }


def _key_option(**more: Any) -> dict[str, Any]:
    description = f"Made at {CONSOLE}, or by the gateway that you use"
    return {"type": "string", "title": "xAI API key", "description": description, "sensitive": True, **more}


def claude_plugin(project: Project) -> dict[str, Any]:
    """The plugin for Claude Code."""
    return {
        "name": SERVER,
        "version": project.version,
        "description": project.summary,
        "author": {"name": project.author, "url": project.repository},
        "homepage": project.repository,
        "repository": project.repository,
        "license": project.license,
        "keywords": list(project.keywords),
        "userConfig": {"xai_api_key": _key_option(required=True)},
        "mcpServers": {SERVER: {**project.command, "env": {KEY: "${user_config.xai_api_key}"}}},
    }


def claude_marketplace(project: Project) -> dict[str, Any]:
    """The marketplace with this one plugin; Claude Code looks for it at the root of a repository."""
    return {
        "name": project.name,
        "owner": {"name": project.author, "url": project.repository},
        "metadata": {"description": project.summary},
        "plugins": [
            {
                "name": SERVER,
                "source": "./packaging/claude-plugin",
                "description": project.summary,
                "version": project.version,
            }
        ],
    }


def gemini_extension(project: Project) -> dict[str, Any]:
    """The extension for Gemini CLI, which looks for it at the root of a repository."""
    key = _key_option()
    return {
        "name": project.name,
        "version": project.version,
        "description": project.summary,
        "settings": [
            {"name": key["title"], "description": key["description"], "envVar": KEY, "sensitive": True}
        ],
        "mcpServers": {SERVER: {**project.command, "env": {KEY: f"${KEY}"}, "timeout": CALL_MS}},
    }


def glama(project: Project) -> dict[str, Any]:
    """Who may edit the entry at Glama, which indexes repositories by itself."""
    return {"$schema": "https://glama.ai/mcp/schemas/server.json", "maintainers": [project.owner]}


def readme(project: Project, text: str) -> str:
    """The README with the marked parts as they should be."""
    address = project.repository
    found = links(project)
    lines = [
        *(f"- {host}: [add to {host}]({link})" for host, link in found.items() if link.startswith("https")),
        f"- Goose: open `{found['Goose']}`",
        f"- Claude Desktop: open `{project.name}-{project.version}.mcpb` of a [release]({address}/releases)",
        f"- Claude Code: `claude plugin install {SERVER} --marketplace {address.removeprefix(GITHUB)}`,"
        f" then in a session `/plugin configure {SERVER}@{project.name}` for the key",
        f"- Gemini CLI: `gemini extensions install {address}`",
    ]
    text = re.sub(r"<!-- mcp-name: .* -->", f"<!-- mcp-name: {project.server_name} -->", text)
    marked = r"(?<=<!-- install-links: made by `make listings` -->\n).*?(?=<!-- /install-links -->)"
    return re.sub(marked, lambda _: "".join(f"{line}\n" for line in lines), text, flags=re.DOTALL)


def listings(project: Project) -> Mapping[str, str]:
    """What each file should say, by its path in the repository."""
    tables = {
        "packaging/server.json": server_json(project),
        "packaging/mcpb/manifest.json": bundle_manifest(project),
        "packaging/claude-plugin/.claude-plugin/plugin.json": claude_plugin(project),
        ".claude-plugin/marketplace.json": claude_marketplace(project),
        "gemini-extension.json": gemini_extension(project),
        "glama.json": glama(project),
    }
    written = {path: json.dumps(table, indent=2, ensure_ascii=False) + "\n" for path, table in tables.items()}
    written |= {f"{SKILLS}/{path}": text for path, text in skill_files().items()}
    return written | {"README.md": readme(project, (ROOT / "README.md").read_text(encoding="utf-8"))}


def skill_files() -> Mapping[str, str]:
    """The skills as they ship with the package; Claude Code finds them in `skills/` of the plugin."""
    return {
        f"{name}/{path}": contents.decode("utf-8")
        for name, skill in load_skills().items()
        for path, contents in skill.files.items()
    }


def stale(project: Project) -> Iterable[str]:
    """The files that do not say what they should, and skills in the plugin that the package does not have."""
    wanted = listings(project)
    for path, text in wanted.items():
        file = ROOT / path
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            yield path
    for file in (ROOT / SKILLS).rglob("*"):
        path = file.relative_to(ROOT).as_posix()
        if file.is_file() and path not in wanted:
            yield path


def write(path: Path, text: str) -> None:
    """Write it with the same line ends on every system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    project = read_project()
    wanted = listings(project)
    for path in list(stale(project)):
        if text := wanted.get(path):
            write(ROOT / path, text)
            print(f"wrote {path}", file=sys.stderr)
        else:
            (ROOT / path).unlink()
            print(f"removed {path}", file=sys.stderr)
